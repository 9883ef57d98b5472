package awscli_test

import (
	"fmt"
	"regexp"
	"strings"
)

// transcript is a document with sh blocks to run and what they print.
type transcript struct {
	lines []string
	steps []step
}

// step is one sh block. printed is the text block right below it, if there is one.
type step struct {
	line           int // of the block's first command, from 1
	commands       string
	shows          bool
	from, to       int // lines of what is printed: lines[from:to]
	printed        string
	status, really string // of the run: exit status, what was printed
}

const fence = "```"

// readTranscript finds the blocks of a document.
func readTranscript(text string) (*transcript, error) {
	t := &transcript{lines: strings.Split(text, "\n")}
	after := -1 // index of the step whose printed block may begin here
	for i := 0; i < len(t.lines); i++ {
		line := t.lines[i]
		if !strings.HasPrefix(line, fence) {
			if strings.TrimSpace(line) != "" {
				after = -1
			}
			continue
		}
		end := i + 1
		for ; end < len(t.lines) && t.lines[end] != fence; end++ {
		}
		if end == len(t.lines) {
			return nil, fmt.Errorf("line %d: the block is not closed", i+1)
		}
		body := strings.Join(t.lines[i+1:end], "\n")
		switch kind := strings.TrimPrefix(line, fence); {
		case kind == "sh":
			t.steps = append(t.steps, step{line: i + 2, commands: body})
			after = len(t.steps) - 1
		case kind == "text" && after >= 0:
			s := &t.steps[after]
			s.shows, s.from, s.to, s.printed = true, i+1, end, body
			after = -1
		default:
			after = -1
		}
		i = end
	}
	return t, nil
}

// matches says whether what was printed is what the document shows.
func (s *step) matches() bool {
	want := regexp.QuoteMeta(strings.TrimSpace(s.printed))
	want = strings.ReplaceAll(want, "…", `(?s:.*?)`)
	return regexp.MustCompile(`\A` + want + `\z`).MatchString(strings.TrimSpace(s.really))
}

// updated is the document with what was printed wherever it shows something else.
func (t *transcript) updated() string {
	lines := t.lines
	for i := len(t.steps) - 1; i >= 0; i-- { // from below, so that line numbers hold
		if s := t.steps[i]; s.shows && !s.matches() {
			lines = append(lines[:s.from:s.from], append(strings.Split(strings.TrimSpace(s.really), "\n"), lines[s.to:]...)...)
		}
	}
	return strings.Join(lines, "\n")
}

// program is the shell script that runs the steps one after the other and marks where each
// ends and how.
func (t *transcript) program() string {
	var b strings.Builder
	for i, s := range t.steps {
		fmt.Fprintf(&b, "%s\nprintf '\\n%s %d %%s\\n' $?\n", s.commands, mark, i)
	}
	return b.String()
}

// mark begins the line behind each step. No client prints it.
const mark = "@@end-of-step"

// take reads what the program printed into the steps. It answers how many came to an end.
func (t *transcript) take(output string) int {
	for i := range t.steps {
		end := fmt.Sprintf("\n%s %d ", mark, i)
		at := strings.Index(output, end)
		if at < 0 {
			t.steps[i].really = output
			return i
		}
		t.steps[i].really = output[:at]
		t.steps[i].status, output, _ = strings.Cut(output[at+len(end):], "\n")
	}
	return len(t.steps)
}
