package javaregex

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// scriptCodes has the code of ISO 15924 and the name of each script, as the Unicode Character
// Database pairs them.
//
//go:embed scripts.txt
var scriptCodes string

// blockRanges has the first and last character and the name of each block of Unicode.
//
//go:embed blocks.txt
var blockRanges string

// property reads \p and the name of a class after it. A name in capital \P is negated by
// whoever calls.
func (p *parser) property() runes {
	start := p.pos
	p.pos += len(`\p`)
	first := p.pos
	if r := p.raw(); r != '{' {
		if r == end {
			p.fail(p.pos, "", `the name of a class after "\\p"`)
		}
		p.pos++
		return p.lookUp(start, string(r))
	}
	for p.raw() != '}' {
		if p.raw() == end {
			p.fail(p.pos, "", "a } after the name of a class")
		}
		p.pos++
	}
	name := p.pattern[p.tokens[first].at+1 : p.tokens[p.pos].at]
	p.pos++
	return p.lookUp(start, name)
}

// lookUp is the class of a name, or ends the parser at start.
func (p *parser) lookUp(start int, name string) runes {
	set := p.setNamed(name)
	if set == nil && strings.HasSuffix(name, "Mirrored") {
		p.refuse(start, "class "+p.text(start), "one without mirrored characters")
	}
	if set == nil {
		p.fail(start, "unknown class "+p.text(start), "the name of a category, script, block or property")
	}
	return set
}

// setNamed is the class of a name, or nil if Java knows none.
func (p *parser) setNamed(name string) runes {
	key := strconv.Itoa(int(p.flags&(ignoreCase|unicodeClass))) + name
	set, ok := p.sets[key]
	if !ok {
		set = findSet(name, p.flags&ignoreCase != 0, p.flags&unicodeClass != 0)
		p.sets[key] = set
	}
	return set
}

func findSet(name string, anyCase, wide bool) runes {
	if key, value, ok := strings.Cut(name, "="); ok {
		switch strings.ToLower(key) {
		case "sc", "script":
			return script(value)
		case "blk", "block":
			return block(value)
		case "gc", "general_category":
			return category(value, anyCase)
		}
		return nil
	}
	if value, ok := strings.CutPrefix(name, "In"); ok {
		return block(value)
	}
	if value, ok := strings.CutPrefix(name, "Is"); ok {
		return firstOf(binary(value, anyCase), category(value, anyCase), script(value))
	}
	if wide {
		if set := posixWide(name, anyCase); set != nil {
			return set
		}
	}
	return firstOf(posix(name, anyCase), category(name, anyCase), javaMethod(name, anyCase))
}

func firstOf(sets ...runes) runes {
	for _, set := range sets {
		if set != nil {
			return set
		}
	}
	return nil
}

// table is the set of what Unicode calls by a name: a category or a property.
func table(names ...string) runes {
	var tables []*unicode.RangeTable
	for _, name := range names {
		if t, ok := unicode.Categories[name]; ok {
			tables = append(tables, t)
		} else {
			tables = append(tables, unicode.Properties[name])
		}
	}
	return setOfTables(tables...)
}

func assigned() runes {
	return table("L", "M", "N", "P", "S", "Z", "Cc", "Cf", "Co", "Cs")
}

// category is a general category or one of the names Java lists with them.
func category(name string, anyCase bool) runes {
	switch name {
	case "Lu", "Ll", "Lt":
		if anyCase {
			return table("Lu", "Ll", "Lt")
		}
	case "LC":
		return table("Lu", "Ll", "Lt")
	case "LD":
		return table("L", "Nd")
	case "L1":
		return runes{{0, 0xff}}
	case "all":
		return everything
	case "Cn":
		return assigned().not()
	case "C":
		return table("Cc", "Cf", "Co", "Cs").or(assigned().not())
	}
	if _, ok := unicode.Categories[name]; !ok || len(name) > 2 {
		return nil
	}
	return table(name)
}

func script(name string) runes {
	want := strings.ToUpper(name)
	for line := range strings.Lines(scriptCodes) {
		code, long, _ := strings.Cut(strings.TrimSpace(line), " ")
		if want == code || want == long {
			return scriptsByName()[long]
		}
	}
	return nil
}

// scriptsByName has each script by its name in capitals.
var scriptsByName = sync.OnceValue(func() map[string]runes {
	scripts := map[string]runes{}
	for name, t := range unicode.Scripts { //neap:unordered each name is a key of its own
		scripts[strings.ToUpper(name)] = setOfTables(t)
	}
	return scripts
})

// spelled strips a block's name of what spellings differ in.
var spelled = strings.NewReplacer(" ", "", "_", "", "-", "")

func block(name string) runes {
	want := strings.ToUpper(spelled.Replace(name))
	for line := range strings.Lines(blockRanges) {
		words := strings.Fields(line)
		if spelled.Replace(words[2]) != want {
			continue
		}
		lo, errLo := strconv.ParseInt(words[0], 16, 32)
		hi, errHi := strconv.ParseInt(words[1], 16, 32)
		if errLo != nil || errHi != nil {
			panic("javaregex: blocks.txt: " + line)
		}
		return runes{{rune(lo), rune(hi)}}
	}
	return nil
}
