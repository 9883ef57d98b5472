package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed guards.txt
var guardsText string

// guard is a check, and the edits that take it out.
type guard struct {
	name   string
	breaks []string // the invariants of docs/reliability.md, any of which may notice
	edits  []edit
}

// edit replaces one piece of a file. The piece must be there exactly once.
type edit struct {
	file     string // from the root of the repository
	old, new string
}

var errGuards = errors.New("guards.txt")

// parseGuards reads a list of guards:
//
//	guard <name>
//	breaks <invariant> ...
//	file <path>
//	-<line to be removed>
//	+<line to stand there>
//
// A guard may have several edits, also in one file: each begins with a line of its own. Lines
// that begin with # are remarks.
func parseGuards(text string) ([]guard, error) {
	var list []guard
	file, was := "", ""
	for n, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			word, rest = line[:1], line[1:]
		}
		if len(list) == 0 && word != "guard" && word != "" && word != "#" {
			return nil, fmt.Errorf("%w:%d: %q stands before the first guard", errGuards, n+1, line)
		}
		switch word {
		case "", "#":
		case "guard":
			list = append(list, guard{name: rest})
			file = ""
		case "breaks":
			list[len(list)-1].breaks = strings.Fields(rest)
		case "file":
			file = rest
		case "-", "+":
			g := &list[len(list)-1]
			if word == "-" && was != "-" {
				g.edits = append(g.edits, edit{file: file})
			}
			if len(g.edits) == 0 || file == "" {
				return nil, fmt.Errorf("%w:%d: an edit begins with a file and a line to be removed", errGuards, n+1)
			}
			e := &g.edits[len(g.edits)-1]
			if word == "-" {
				e.old = join(e.old, rest)
			} else {
				e.new = join(e.new, rest)
			}
		default:
			return nil, fmt.Errorf("%w:%d: %q: write guard, breaks, file, - or +", errGuards, n+1, word)
		}
		was = word
	}
	return list, nil
}

func join(text, line string) string {
	if text == "" {
		return line
	}
	return text + "\n" + line
}

// apply makes the files as they are without the guard, by path.
func (g *guard) apply(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range g.edits {
		text, done := files[e.file]
		if !done {
			b, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%w: %s: %s has this %d times, not once: write what is there now\n%s", errGuards, g.name, e.file, n, e.old)
		}
		files[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: %s: nothing is edited", errGuards, g.name)
	}
	return files, nil
}
