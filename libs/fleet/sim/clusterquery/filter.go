package clusterquery

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// longest is the number of characters that ECS takes in an expression.
	longest = 2000
	// deepest is how deep parentheses and negations may nest: more than a person writes.
	deepest = 100
)

// Instance is a container instance as a filter sees it.
type Instance struct {
	// Attribute finds an attribute. One that is a name only has the value "".
	Attribute func(name string) (value string, ok bool)
	// Groups are the groups of the tasks that shall run on the instance; a group may come
	// more than once.
	Groups         iter.Seq[string]
	AgentConnected bool
	AgentVersion   string
	EC2InstanceID  string
	RegisteredAt   time.Time
	RunningTasks   int
}

// Filter is a checked expression. It may be used by several goroutines.
type Filter struct {
	text     string
	patterns map[int]*pattern // by where the literal starts
}

// Parse checks an expression. An error says what is wrong at which character.
func Parse(text string) (*Filter, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("the expression is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(text); n > longest {
		return nil, fmt.Errorf("the expression has %d characters: at most %d are allowed", n, longest)
	}
	if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' && !isSpace(byte(c)) || c == 0x7f }); i >= 0 {
		return nil, fmt.Errorf("the expression has the control character %q", text[i])
	}
	f := &Filter{text: text, patterns: map[int]*pattern{}}
	check := &reading{text: text, patterns: f.patterns, idle: true, checking: true}
	check.whole()
	if check.err != nil {
		return nil, check.err
	}
	return f, nil
}

// Matches reports whether an instance is one that the expression selects. An error says
// that a pattern takes too many steps to match.
func (f *Filter) Matches(i *Instance) (bool, error) {
	r := &reading{text: f.text, patterns: f.patterns, instance: i}
	selected := r.whole()
	return selected && r.err == nil, r.err
}

// reading is one pass over the text of an expression.
type reading struct {
	text     string
	at       int // the next character
	depth    int
	patterns map[int]*pattern
	instance *Instance
	checking bool // the text is new: literals are checked and patterns compiled
	idle     bool // nothing is computed, for it is decided already or there is no instance
	err      error
}

// fail notes the first thing that is wrong, and ends the reading.
func (r *reading) fail(format string, args ...any) {
	if r.err == nil {
		where := utf8.RuneCountInString(r.text[:min(r.at, len(r.text))]) + 1
		r.err = fmt.Errorf("%s (character %d)", fmt.Sprintf(format, args...), where)
	}
	r.at, r.idle = len(r.text), true
}

func (r *reading) whole() bool {
	if r.space(); r.at == len(r.text) {
		r.fail("the expression is empty: write subject, operator and argument, such as attribute:ecs.instance-type == t3.large")
		return false
	}
	result := r.or()
	if r.space(); r.at < len(r.text) {
		r.fail(`unexpected %s: expressions are joined by "and" or "or", and a literal with spaces or special characters stands in quotes`, r.upcoming())
	}
	return result
}

func (r *reading) or() bool {
	result := r.and()
	for r.takeWord("||", "or") {
		idle := r.idle
		r.idle = idle || result // the rest is only read
		right := r.and()
		r.idle = idle || r.err != nil
		result = result || right
	}
	return result
}

func (r *reading) and() bool {
	result := r.not()
	for r.takeWord("&&", "and") {
		idle := r.idle
		r.idle = idle || !result
		right := r.not()
		r.idle = idle || r.err != nil
		result = result && right
	}
	return result
}

func (r *reading) not() bool {
	if r.depth++; r.depth > deepest {
		r.fail("parentheses and negations nest deeper than %d", deepest)
	}
	defer func() { r.depth-- }()
	switch {
	case r.err != nil:
		return false
	case r.takeWord("!", "not"):
		return !r.not()
	case r.take("("):
		result := r.or()
		if !r.take(")") {
			r.fail(`")" is missing before %s`, r.upcoming())
		}
		return result
	}
	return r.predicate()
}

// space skips white space.
func (r *reading) space() {
	for r.at < len(r.text) && isSpace(r.text[r.at]) {
		r.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// take goes past a symbol, if it is next.
func (r *reading) take(symbol string) bool {
	r.space()
	if !strings.HasPrefix(r.text[r.at:], symbol) {
		return false
	}
	r.at += len(symbol)
	return true
}

// takeWord goes past a symbol or the word that means the same, if one is next.
func (r *reading) takeWord(symbol, word string) bool {
	if r.take(symbol) {
		return true
	}
	if r.peekWord() != word {
		return false
	}
	r.at += len(word)
	return true
}

// peekWord is the word that is next: what stands before white space or a character with a
// meaning.
func (r *reading) peekWord() string {
	r.space()
	rest := r.text[r.at:]
	return rest[:wordEnd(rest)]
}

// upcoming names what is next, for errors.
func (r *reading) upcoming() string {
	if r.space(); r.at >= len(r.text) {
		return "the end"
	}
	const shown = 30
	rest := []rune(r.text[r.at:])
	if end := slices.Index(rest, ' '); end > 0 {
		rest = rest[:end]
	}
	return fmt.Sprintf("%q", string(rest[:min(len(rest), shown)]))
}

// literal reads an argument: in quotes, or the characters up to one that has a meaning.
func (r *reading) literal(length func(rest string) int) (value string, ok bool) {
	r.space()
	if r.at >= len(r.text) {
		r.fail("an argument is missing at the end")
		return "", false
	}
	if quote := r.text[r.at]; quote == '\'' || quote == '"' {
		end := strings.IndexByte(r.text[r.at+1:], quote)
		if end < 0 {
			r.fail("the quote %c is not closed", quote)
			return "", false
		}
		value = r.text[r.at+1 : r.at+1+end]
		r.at += end + 2
		if value == "" {
			r.fail("an argument is empty: no value is")
		}
		return value, r.err == nil
	}
	start := r.at
	r.at += length(r.text[r.at:])
	if r.at == start {
		r.fail("expected an argument, found %s: a literal with special characters stands in quotes", r.upcoming())
		return "", false
	}
	return r.text[start:r.at], true
}

// wordEnd is where a literal without quotes ends, which starts a text.
func wordEnd(text string) int {
	if end := strings.IndexAny(text, " \t\r\n()[],'\"&|!=<>~"); end >= 0 {
		return end
	}
	return len(text)
}

// bareEnd is where a pattern without quotes ends, which starts a text: at white space or a
// quote, and outside of its own parentheses and brackets at ")", "&&" or "||". People write
// (p[23]|g[34]).* and ECS takes it.
func bareEnd(text string) int {
	round, square := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case isSpace(c) || c == '\'' || c == '"':
			return i
		case c == '\\' && i+1 < len(text) && !isSpace(text[i+1]):
			i++
		case c == '[':
			square++
		case c == ']':
			square = max(square-1, 0)
		case square > 0:
		case c == '(':
			round++
		case c == ')' && round > 0:
			round--
		case c == ')' || round == 0 && (strings.HasPrefix(text[i:], "&&") || strings.HasPrefix(text[i:], "||")):
			return i
		}
	}
	return len(text)
}

// list reads [a, b, …].
func (r *reading) list(each func(string)) {
	if !r.take("[") {
		r.fail("expected a list such as [us-east-1a, us-east-1b], found %s", r.upcoming())
		return
	}
	for {
		value, ok := r.literal(wordEnd)
		if !ok {
			return
		}
		each(value)
		if r.take("]") {
			return
		}
		if !r.take(",") {
			r.fail(`"," or "]" is missing before %s`, r.upcoming())
			return
		}
	}
}
