package query

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/neap-project/neap/libs/fleet/query/javaregex"
)

// ErrUnsupported marks an expression that ECS may well accept and this package
// cannot evaluate: its pattern uses something rare of java.util.regex, or is too
// large. Whoever needs the answer has to ask ECS for it.
var ErrUnsupported = javaregex.ErrUnsupported

const (
	// maxLength, in characters, is what the ECS API accepts for the expression
	// of a placement constraint.
	maxLength = 2000
	// maxDepth bounds recursion, ours and every later walk's. Expressions people
	// write nest three or four deep; 64 is far beyond them and cheap on the stack.
	maxDepth = 64
)

// Parse reads an expression of the cluster query language. An error names the
// character it is at, counted from one, what was found and what was expected;
// it is ErrUnsupported if ECS may accept the expression all the same. Time is
// linear in the length, but for compiling patterns.
//
//	expr      := and (("||" | "or") and)*
//	and       := unary (("&&" | "and") unary)*
//	unary     := ("!" | "not") unary | "(" expr ")" | predicate
//	predicate := subject operator [literal | "[" literal ("," literal)* "]"]
//
// White space is optional wherever the words stay apart without it. The guide
// forbids parentheses in a single predicate; here they are allowed everywhere.
func Parse(expr string) (*Expr, error) {
	p := &parser{text: expr}
	if err := p.checkText(); err != nil {
		return nil, err
	}
	root, err := p.either()
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(p.text) {
		return nil, p.fail(p.pos, "and, or, or the end of the expression")
	}
	e := &Expr{root: root, text: root.String()}
	if utf8.RuneCountInString(e.text) > maxLength {
		e.text = expr
	}
	return e, nil
}

// parser is a position in a text. Which characters make a word depends on what
// is expected, so there is no lexer before it.
type parser struct {
	text  string
	pos   int // in bytes
	depth int // of not and parentheses around pos
}

// checkText refuses what the rest of the parser need not think about.
func (p *parser) checkText() error {
	if n := utf8.RuneCountInString(p.text); n > maxLength {
		return p.failed(0, fmt.Sprintf("%d characters", n), fmt.Sprintf("at most %d", maxLength))
	}
	for i, r := range p.text {
		if r == utf8.RuneError && !strings.HasPrefix(p.text[i:], "\uFFFD") {
			return p.failed(i, "a broken character", "UTF-8")
		}
		if (r < ' ' && !isSpace(byte(r))) || r == 0x7f {
			return p.failed(i, fmt.Sprintf("control character %q", r), "text")
		}
	}
	return nil
}

// either parses conjunctions with "or" between.
func (p *parser) either() (*node, error) { return p.chain(some, "||", "or", p.both) }

// both parses negations, groups and predicates with "and" between.
func (p *parser) both() (*node, error) { return p.chain(all, "&&", "and", p.unary) }

func (p *parser) chain(k kind, symbol, word string, operand func() (*node, error)) (*node, error) {
	var kids []*node
	for {
		kid, err := operand()
		if err != nil {
			return nil, err
		}
		kids = append(kids, kid)
		if !p.take(symbol) && !p.takeWord(word) {
			return join(k, kids), nil
		}
	}
}

// unary parses a negation, a group or a predicate. "not" and the parenthesis
// after it are one level: they are one in the canonical form.
func (p *parser) unary() (*node, error) {
	p.space()
	start := p.pos
	negated := p.take("!") || p.takeWord("not")
	grouped := p.take("(")
	if !negated && !grouped {
		return p.predicate()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(start, fmt.Sprintf("at most %d levels of parentheses and not", maxDepth))
	}
	defer func() { p.depth-- }()

	operand := p.unary
	if grouped {
		operand = p.group
	}
	kid, err := operand()
	if err != nil || !negated {
		return kid, err
	}
	return &node{kind: not, kids: []*node{kid}}, nil
}

// group parses what follows "(".
func (p *parser) group() (*node, error) {
	inner, err := p.either()
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, p.fail(p.pos, "and, or, or )")
	}
	return inner, nil
}

// predicate parses subject, operator and argument.
func (p *parser) predicate() (*node, error) {
	pred := &predicate{}
	var err error
	if pred.field, pred.name, err = p.subject(); err != nil {
		return nil, err
	}
	if pred.op, err = p.operator(fields[pred.field].ops); err != nil {
		return nil, err
	}
	p.space()
	switch {
	case pred.op.takesNothing():
		pred.test = textTest(pred.op, nil)
	case pred.op.takesPattern():
		err = p.patternArgument(pred)
	case pred.op.takesList():
		err = p.listArgument(pred)
	default:
		err = p.valueArgument(pred)
	}
	return &node{leaf: pred}, err
}

// subject parses the left side; name is that of an attribute, or "".
func (p *parser) subject() (f field, name string, err error) {
	start := p.pos
	word := p.word()
	if name, ok := strings.CutPrefix(word, attributePrefix); ok && name != "" {
		return attribute, name, nil
	}
	for f := range fields {
		if word == fields[f].name && field(f) != attribute {
			return field(f), "", nil
		}
	}
	return 0, "", p.fail(start, "a subject: attribute:NAME, task:group, agentConnected, "+
		"agentVersion, ec2InstanceId, registeredAt or runningTasksCount")
}

// operator parses an operator, one of allowed.
func (p *parser) operator(allowed []op) (op, error) {
	p.space()
	token := p.token(p.pos)
	for _, o := range allowed {
		if s := spellings[o]; token == s.symbol || token == s.word {
			p.pos += len(token)
			return o, nil
		}
	}
	symbols := make([]string, len(allowed))
	for i, o := range allowed {
		symbols[i] = spellings[o].symbol
	}
	return 0, p.fail(p.pos, "an operator: "+strings.Join(symbols, " "))
}

// valueArgument parses one literal and checks that the field can be compared
// with it.
func (p *parser) valueArgument(pred *predicate) error {
	start := p.pos
	value, err := p.literal()
	if err != nil {
		return err
	}
	pred.values = []string{value}
	ok, want := true, ""
	switch pred.field {
	case agentConnected:
		ok, want = isBool(value), "true or false"
	case agentVersion:
		ok, want = isVersion(value), "a version such as 1.14.5"
	case registeredAt:
		pred.instant, ok = parseInstant(value)
		want = "a date such as 2018-06-18 or 2018-06-18T22:28:28Z"
	case runningTasksCount:
		pred.count, err = strconv.ParseInt(value, 10, 64)
		ok, want = err == nil, "a whole number"
	case attribute, taskGroup, ec2InstanceID: // any text
	}
	if !ok {
		return p.fail(start, want)
	}
	pred.test = textTest(pred.op, pred.values)
	return nil
}

// listArgument parses literals in brackets.
func (p *parser) listArgument(pred *predicate) error {
	if !p.take("[") {
		return p.fail(p.pos, "a list: [")
	}
	for {
		p.space()
		start := p.pos
		value, err := p.literal()
		if err != nil {
			return err
		}
		if pred.field == agentConnected && !isBool(value) {
			return p.fail(start, "true or false")
		}
		pred.values = append(pred.values, value)
		if p.take("]") {
			pred.test = textTest(pred.op, pred.values)
			return nil
		}
		if !p.take(",") {
			return p.fail(p.pos, "a comma or ]")
		}
	}
}

// patternArgument parses a regular expression and compiles it.
func (p *parser) patternArgument(pred *predicate) error {
	start := p.pos
	pattern, isQuoted, err := p.quotedLiteral()
	if err != nil {
		return err
	}
	if isQuoted {
		start++
	} else {
		pattern = p.text[p.pos : p.pos+barePattern(p.text[p.pos:])]
		p.pos += len(pattern)
	}
	if pattern == "" {
		return p.fail(start, "a regular expression")
	}
	compiled, problem := javaregex.Compile(pattern)
	if problem != nil {
		err := p.failed(start+problem.At, problem.Found, problem.Want)
		if problem.Unsupported {
			err = fmt.Errorf("%w: %w", err, ErrUnsupported)
		}
		return err
	}
	pred.values = []string{pattern}
	pred.test, pred.gaveUp = patternTests(pred.op, compiled)
	return nil
}

// barePattern is the length of the pattern without quotes that rest begins
// with. People write "=~ (p3|g[4,5]).*" and ECS takes it, so brackets, bars and
// commas belong to the pattern; a space, a quote, or outside of brackets a
// closing parenthesis, && or || end it.
func barePattern(rest string) int {
	groups, classes := 0, 0
	i := 0
	for ; i < len(rest); i++ {
		open := groups+classes > 0
		switch c := rest[i]; {
		case isSpace(c) || c == '\'' || c == '"':
			return i
		case c == '\\' && i+1 < len(rest) && !isSpace(rest[i+1]):
			i++
		case c == '[':
			classes++
		case c == ']':
			classes = max(0, classes-1)
		case classes > 0:
		case c == '(':
			groups++
		case c == ')' && !open:
			return i
		case c == ')':
			groups--
		case !open && (strings.HasPrefix(rest[i:], "&&") || strings.HasPrefix(rest[i:], "||")):
			return i
		}
	}
	return i
}

// literal parses one value, quoted or bare.
func (p *parser) literal() (string, error) {
	start := p.pos
	value, isQuoted, err := p.quotedLiteral()
	if err != nil {
		return "", err
	}
	if !isQuoted {
		value = p.word()
	}
	if value == "" {
		return "", p.fail(start, "a value")
	}
	return value, nil
}

// quotedLiteral parses a value in quotes, if there is one. A quote within is
// written in quotes of the other kind: there are no escapes, which would get in
// the way of those of patterns.
func (p *parser) quotedLiteral() (value string, isQuoted bool, err error) {
	rest := p.text[p.pos:]
	if rest == "" || (rest[0] != '\'' && rest[0] != '"') {
		return "", false, nil
	}
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 {
		return "", false, p.failed(len(p.text), "end of expression", fmt.Sprintf("a closing %c", rest[0]))
	}
	p.pos += end + 2
	return rest[1 : end+1], true, nil
}

// space skips white space.
func (p *parser) space() {
	for p.pos < len(p.text) && isSpace(p.text[p.pos]) {
		p.pos++
	}
}

// take skips white space and then symbol, if it comes next.
func (p *parser) take(symbol string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.pos:], symbol) {
		return false
	}
	p.pos += len(symbol)
	return true
}

// takeWord skips white space and then word, if it comes next as a whole word.
func (p *parser) takeWord(word string) bool {
	p.space()
	if p.text[p.pos:p.wordEnd(p.pos)] != word {
		return false
	}
	p.pos += len(word)
	return true
}

// word consumes the bare word at pos; it may be empty.
func (p *parser) word() string {
	start := p.pos
	p.pos = p.wordEnd(start)
	return p.text[start:p.pos]
}

func (p *parser) wordEnd(at int) int {
	for at < len(p.text) && isBare(p.text[at]) {
		at++
	}
	return at
}

// signs are the characters operators are made of.
const signs = "!=<>~&|"

// token is what comes at a position: a word, a sign such as >= or !in, something
// in quotes, or one character.
func (p *parser) token(at int) string {
	if at >= len(p.text) {
		return ""
	}
	if end := p.wordEnd(at); end > at {
		return p.text[at:end]
	}
	rest := p.text[at:]
	if strings.HasPrefix(rest, "!") && len(rest) > 1 && isBare(rest[1]) {
		return p.text[at:p.wordEnd(at+1)]
	}
	if rest[0] == '\'' || rest[0] == '"' {
		return quotedToken(rest)
	}
	if run := len(rest) - len(strings.TrimLeft(rest, signs)); run > 0 {
		return rest[:min(run, 2)] // No operator has three.
	}
	return rest[:1]
}

// quotedToken is what rest begins with in quotes, or all of it if they do not close.
func quotedToken(rest string) string {
	if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
		return rest[:end+2]
	}
	return rest
}

// fail is the error that something else than want comes at a position.
func (p *parser) fail(at int, want string) error {
	found := "end of expression"
	if token := p.token(at); token != "" {
		found = strconv.Quote(token)
	}
	return p.failed(at, found, want)
}

func (p *parser) failed(at int, found, want string) error {
	return fmt.Errorf("query at character %d: found %s, expected %s",
		utf8.RuneCountInString(p.text[:at])+1, found, want)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isBare tells whether c may be in a word without quotes. Bytes of characters
// beyond ASCII may.
func isBare(c byte) bool {
	return c > ' ' && strings.IndexByte("()[],'\""+signs, c) < 0
}

func isBool(value string) bool { return value == "true" || value == "false" }
