package query

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// subject makes a Subject of attributes "name=value" ("name" alone is
// name-only) and groups "group:name".
func subject(words ...string) *Subject {
	attributes := map[string]string{}
	var groups []string
	for _, word := range words {
		if group, ok := strings.CutPrefix(word, "group:"); ok {
			groups = append(groups, group)
			continue
		}
		name, value, _ := strings.Cut(word, "=")
		attributes[name] = value
	}
	return &Subject{
		Attribute: func(name string) (string, bool) {
			value, ok := attributes[name]
			return value, ok
		},
		HasGroup:       func(match func(string) bool) bool { return slices.ContainsFunc(groups, match) },
		AgentConnected: true,
		AgentVersion:   "1.14.5",
		EC2InstanceID:  "i-abcd1234",
		RegisteredAt:   time.Date(2018, 6, 18, 22, 28, 28, 987_000_000, time.UTC),
		RunningTasks:   int64(len(groups)),
	}
}

func parse(t testing.TB, text string) *Expr {
	t.Helper()
	e, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return e
}

func TestMatch(t *testing.T) {
	web := subject("ecs.instance-type=t2.small", "ecs.availability-zone=us-east-1a", "stack=test",
		"size=9", "gpu", "note=two words", "group:service:web", "group:family:batch")
	empty := subject()
	absent := &Subject{}
	capable := subject("com.amazonaws.ecs.capability.docker-remote-api.1.17", "ecs.os-type=linux", "ecs.os-family=LINUX",
		"ecs.cpu-architecture=arm64", `a-Z_0/\.9=1`, "path=Az9-_/.@:", "star=*")
	for _, tc := range []struct {
		rule string
		expr string
		on   *Subject
		want bool
	}{
		{"guide: equality", "attribute:ecs.instance-type == t2.small", web, true},
		{"guide: list", "attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", web, true},
		{"guide: compound", "attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d", web, false},
		{"guide: affinity", "task:group == service:web", web, true},
		{"guide: anti-affinity", "not(task:group == database)", web, true},
		{"guide: anti-affinity", "not(task:group == service:web)", web, false},
		{"guide: task count", "runningTasksCount == 1", web, false},
		{"guide: agent version", "agentVersion < 1.14.5", web, false},
		{"guide: registered", "registeredAt < 2018-02-13", web, false},
		{"guide: ids", "ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']", web, true},

		{"!= on another value", "attribute:stack != prod", web, true},
		{"!= on a missing attribute", "attribute:stack != prod", empty, false},
		{"!in on a missing attribute", "attribute:stack !in [prod]", empty, false},
		{"!~ on a missing attribute", "attribute:stack !~ prod", empty, false},
		{"> on a missing attribute", "attribute:stack > a", empty, false},
		{"not on a missing attribute", "not(attribute:stack == prod)", empty, true},
		{"exists", "attribute:stack exists", web, true},
		{"exists", "attribute:stack exists", empty, false},
		{"!exists", "attribute:stack !exists", web, false},
		{"!exists", "attribute:stack !exists", empty, true},
		{"name-only exists", "attribute:gpu exists", web, true},
		{"name-only == is false", "attribute:gpu == true", web, false},
		{"name-only != is true", "attribute:gpu != true", web, true},
		{"name-only matches the empty text", "attribute:gpu =~ .*", web, true},
		{"text is exact", "attribute:stack == Test", web, false},
		{"spaces in quotes", `attribute:note == "two words"`, web, true},

		{"numbers compare as numbers", "attribute:size < 10", web, true},
		{"numbers compare as numbers", "attribute:size >= 9.0", web, true},
		{"minus", "attribute:size > -10", web, true},
		{"else as text", "attribute:size < 10a", web, false},
		{"else as text", "attribute:stack > s", web, true},
		{"== stays text", "attribute:size == 9.0", web, false},

		{"a pattern matches all of it", "attribute:ecs.instance-type =~ t2", web, false},
		{"a pattern matches all of it", "attribute:ecs.instance-type =~ small", web, false},
		{"alternatives are anchored together", "attribute:ecs.instance-type =~ x|t2.small|y", web, true},
		{"alternatives are anchored together", "attribute:ecs.instance-type =~ t2|m5.*", web, false},
		{"brackets without quotes", "attribute:ecs.instance-type =~ (p[2,3]|t[2,3]|f[1]).*", web, true},
		{"!~", "attribute:ecs.instance-type !~ m5.*", web, true},
		{"flags", "attribute:ecs.instance-type =~ '(?i)T2\\..*'", web, true},
		{"a quoted stretch", `attribute:ecs.instance-type =~ \Qt2.\E.*`, web, true},

		{"capability", "attribute:com.amazonaws.ecs.capability.docker-remote-api.1.17 exists", capable, true},
		{"capability", "attribute:ecs.capability.secrets.ssm.environment-variables !exists", capable, true},
		{"built-in", "attribute:ecs.os-type == linux and attribute:ecs.os-type != windows", capable, true},
		{"built-in", "attribute:ecs.os-family =~ WINDOWS_SERVER_.*_(FULL|CORE)", capable, false},
		{"built-in", "attribute:ecs.cpu-architecture in [x86_64, arm64]", capable, true},
		{"every character of a name", `attribute:a-Z_0/\.9 == 1`, capable, true},
		{"every character of a value, bare", `attribute:path == Az9-_/.@:`, capable, true},
		{"a star in a value is itself", "attribute:star == * and attribute:star != **", capable, true},
		{"lists of groups", "task:group in [service:db, family:batch]", web, true},
		{"groups have an order", "task:group > service:a and task:group < g", web, true},
		{"count", "runningTasksCount <= 2 and runningTasksCount > 1", web, true},
		{"a version with > and >=", "agentVersion > 1.14.4 and agentVersion <= 1.14.5", web, true},
		{"a version with words", "agentVersion greater_than_equal 1.15", web, false},
		{"symbols and words mix", "!(agentConnected==true)||not agentConnected equals false && agentConnected in[true]", web, true},
		{"two nots", "not not attribute:stack == test and !!(attribute:stack exists)", web, true},

		{"!= is about some task", "task:group != service:web", web, true},
		{"!= is about some task", "task:group != service:web", subject("group:service:web"), false},
		{"!= needs a task", "task:group != service:web", empty, false},
		{"!in is about some task", "task:group !in [service:web, family:batch]", web, false},
		{"group pattern", "task:group =~ service:.*", web, true},
		{"group !~", "task:group !~ service:.*", subject("group:service:web"), false},
		{"group exists", "task:group exists", web, true},
		{"group exists", "task:group exists", empty, false},
		{"group !exists", "task:group !exists", empty, true},
		{"group !exists", "task:group not_exists", web, false},
		{"no HasGroup", "task:group == a", absent, false},
		{"no HasGroup", "not(task:group == a) and task:group !exists", absent, true},
		{"no Attribute", "attribute:a exists", absent, false},

		{"connected", "agentConnected == true", web, true},
		{"connected", "agentConnected equals false", absent, true},
		{"connected in", "agentConnected in [false]", web, false},
		{"connected pattern", "agentConnected =~ t.*", web, true},

		{"versions are numbers", "agentVersion < 1.100", web, true},
		{"versions are numbers", "agentVersion >= 1.9.9", web, true},
		{"missing numbers are zero", "agentVersion == 1.14.5.0", web, true},
		{"zeros before", "agentVersion == 01.14.05", web, true},
		{"pre-release", "agentVersion > 1.14.5-rc1", web, true},
		{"version !=", "agentVersion != 1.14.4", web, true},
		{"pre-releases by name", "agentVersion < 1.0.0-rc2", &Subject{AgentVersion: "1.0.0-rc1"}, true},
		{"no version", "agentVersion != 1.14.5", absent, false},
		{"a strange version", "agentVersion != 1.14.5", &Subject{AgentVersion: "dev"}, false},

		{"id", "ec2InstanceId != i-1", web, true},
		{"no id yet", "ec2InstanceId == i-1", absent, false},
		{"no id yet", "ec2InstanceId != i-1 and ec2InstanceId !in [i-1]", absent, true},
		{"id pattern", "ec2InstanceId =~ i-ab.*", web, true},

		{"zone", "registeredAt == 2018-06-18T22:28:28+00:00", web, true},
		{"zone", "registeredAt == 2018-06-19T00:28:28+02:00", web, true},
		{"Z", "registeredAt == 2018-06-18T22:28:28Z", web, true},
		{"no zone is UTC", "registeredAt <= 2018-06-18T22:28:28", web, true},
		{"a date is its midnight", "registeredAt > 2018-06-18", web, true},
		{"a date is its midnight", "registeredAt == 2018-06-18", web, false},
		{"not registered", "registeredAt != 2018-06-18", absent, false},

		{"count", "runningTasksCount < 3 and runningTasksCount >= 2", web, true},
		{"count", "runningTasksCount greater_than 2", web, false},
		{"count", "runningTasksCount != 2", absent, true},

		{"and before or", "runningTasksCount == 2 or runningTasksCount == 9 and runningTasksCount == 8", web, true},
		{"parentheses", "(runningTasksCount == 2 or runningTasksCount == 9) and runningTasksCount == 8", web, false},
		{"not before and", "not runningTasksCount == 9 and runningTasksCount == 8", web, false},
		{"not of a group", "not(runningTasksCount == 9 and runningTasksCount == 8)", web, true},
	} {
		if got := parse(t, tc.expr).Match(tc.on); got != tc.want {
			t.Errorf("%s: %s is %v, want %v", tc.rule, tc.expr, got, tc.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, tc := range []struct{ expr, want string }{
		{"attribute:x==od", "attribute:x == od"},
		{"  attribute:x\n\tequals  od ", "attribute:x == od"},
		{"attribute:x not_equals 'od'", "attribute:x != od"},
		{"attribute:x greater_than 1", "attribute:x > 1"},
		{"attribute:x greater_than_equal 1", "attribute:x >= 1"},
		{"attribute:x less_than 1", "attribute:x < 1"},
		{"attribute:x less_than_equal 1", "attribute:x <= 1"},
		{"attribute:x!exists", "attribute:x !exists"},
		{"attribute:x not_exists", "attribute:x !exists"},
		{`attribute:x in["a b",c,'d']`, "attribute:x in ['a b', c, d]"},
		{"attribute:x!in[a]", "attribute:x !in [a]"},
		{"attribute:x not_in [ a ]", "attribute:x !in [a]"},
		{"attribute:x matches t2.*", "attribute:x =~ t2.*"},
		{"attribute:x not_matches (a|b)", "attribute:x !~ '(a|b)'"},
		{`attribute:x == "it's"`, `attribute:x == "it's"`},
		{"attribute:x == and and attribute:y == in", "attribute:x == and and attribute:y == in"},
		{"!attribute:x exists", "not(attribute:x exists)"},
		{"not not attribute:x exists", "not(not(attribute:x exists))"},
		{"((attribute:x exists))", "attribute:x exists"},
		{
			"attribute:x exists&&attribute:y exists||attribute:z exists",
			"attribute:x exists and attribute:y exists or attribute:z exists",
		},
		{
			"(attribute:x exists and attribute:y exists) and (attribute:z exists)",
			"attribute:x exists and attribute:y exists and attribute:z exists",
		},
		{
			"(attribute:x exists or attribute:y exists) and attribute:z exists",
			"(attribute:x exists or attribute:y exists) and attribute:z exists",
		},
		{
			"attribute:x =~ a||attribute:y =~ b&&attribute:z exists",
			"attribute:x =~ a or attribute:y =~ b and attribute:z exists",
		},
		{"(attribute:x =~ (a||b))", "attribute:x =~ '(a||b)'"},
		{`attribute:x =~ [)]\)`, `attribute:x =~ '[)]\)'`},
		{"registeredAt>2018-06-18T22:28:28+00:00", "registeredAt > 2018-06-18T22:28:28+00:00"},
	} {
		if got := parse(t, tc.expr).String(); got != tc.want {
			t.Errorf("%q prints as %q, want %q", tc.expr, got, tc.want)
		}
		roundTrip(t, tc.expr)
	}
}

// roundTrip checks that what an accepted text prints as is the same expression.
func roundTrip(t *testing.T, text string) {
	t.Helper()
	first := parse(t, text)
	second, err := Parse(first.String())
	if err != nil {
		t.Fatalf("%q prints as %q, which does not parse: %v", text, first, err)
	}
	if second.String() != first.String() || shape(second.root) != shape(first.root) {
		t.Fatalf("%q prints as %q, which is another expression, %q", text, first, second)
	}
}

// shape tells nodes apart that differ in any way but the functions they hold.
func shape(n *node) string {
	if n.kind == leaf {
		p := *n.leaf
		p.test = nil
		return fmt.Sprintf("%#v", p)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d(", n.kind)
	for _, kid := range n.kids {
		b.WriteString(shape(kid) + ";")
	}
	return b.String() + ")"
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ expr, want string }{
		{"", `character 1: found end of expression, expected a subject: attribute:NAME`},
		{"ecs.instance-type == a", `character 1: found "ecs.instance-type", expected a subject`},
		{"attribute: == a", `character 1: found "attribute:", expected a subject`},
		{"attribute:role=frontend", `character 15: found "=", expected an operator: == != > >= < <= exists !exists in !in =~ !~`},
		{"attribute:x", `character 12: found end of expression, expected an operator`},
		{"attribute:x !inside [a]", `character 13: found "!inside", expected an operator`},
		{"agentConnected > true", `character 16: found ">", expected an operator: == != in !in =~ !~`},
		{"agentConnected exists", `character 16: found "exists", expected an operator: == != in !in =~ !~`},
		{"ec2InstanceId > i-1", `character 15: found ">", expected an operator: == != in !in =~ !~`},
		{"registeredAt in [2018-06-18]", `character 14: found "in", expected an operator: == != > >= < <=`},
		{"runningTasksCount !~ 1", `character 19: found "!~", expected an operator: == != > >= < <=`},
		{"agentVersion =~ 1.*", `character 14: found "=~", expected an operator: == != > >= < <=`},
		{"runningTasksCount exists", `character 19: found "exists", expected an operator`},
		{"attribute:x ==", `character 15: found end of expression, expected a value`},
		{"attribute:x == ''", `character 16: found "''", expected a value`},
		{"attribute:x == [a]", `character 16: found "[", expected a value`},
		{"attribute:x == 'a", `character 18: found end of expression, expected a closing '`},
		{"attribute:é == \"a", `expected a closing "`},
		{"attribute:é =! a", `character 13: found "=!", expected an operator`},
		{"attribute:x in a", `character 16: found "a", expected a list: [`},
		{"attribute:x in []", `character 17: found "]", expected a value`},
		{"attribute:x in [a,]", `character 19: found "]", expected a value`},
		{"attribute:x in [a b]", `character 19: found "b", expected a comma or ]`},
		{"attribute:x in [a", `character 18: found end of expression, expected a comma or ]`},
		{"attribute:x == a b", `character 18: found "b", expected and, or, or the end`},
		{"attribute:x == a)", `character 17: found ")", expected and, or, or the end`},
		{"attribute:x == a AND attribute:y == b", `character 18: found "AND", expected and, or`},
		{"(attribute:x == a", `character 18: found end of expression, expected and, or, or )`},
		{"attribute:x == a and", `character 21: found end of expression, expected a subject`},
		{"agentConnected == yes", `character 19: found "yes", expected true or false`},
		{"agentConnected in [true, 1]", `character 26: found "1", expected true or false`},
		{"agentVersion > v1", `character 16: found "v1", expected a version such as 1.14.5`},
		{"agentVersion > 1.2-", `character 16: found "1.2-", expected a version such as 1.14.5`},
		{"registeredAt > 2018-6-1", `character 16: found "2018-6-1", expected a date`},
		{"registeredAt > 2018-06-18T22:28:28.5Z", `expected a date`},
		{"runningTasksCount > many", `character 21: found "many", expected a whole number`},
		{"runningTasksCount > 99999999999999999999", `expected a whole number`},
		{"attribute:x =~", `character 15: found end of expression, expected a regular expression`},
		{"attribute:x =~ ''", `expected a regular expression`},
		{"attribute:x =~ a(b", `character 19: found the end of the pattern, expected a ")" for the "(" at 2`},
		{"attribute:x =~ 'a)(b'", `character 18: found ")", expected a "(" before it`},
		{"attribute:x =~ *", `character 16: found dangling '*', expected something to repeat before it`},
		{"attribute:x =~ é{1,0}", `character 17: found a repetition from more to fewer`},
		{"attribute:x =~ (?<a>x)(?<a>y)", `character 23: found two groups named "a", expected names that differ`},
		{"attribute:x =~ (?P<x>a)", `character 16: found unknown group or flag "(?P", expected one of (?:`},
		{`attribute:x =~ [\1]`, `character 17: found escape "\\1", expected one that Java has`},
		{`attribute:x =~ \p{Alphabet}`, `character 16: found unknown class "\\p{Alphabet}"`},
		{`attribute:x =~ [b-a]`, `character 17: found range "b-a", expected the smaller character first`},
		{`attribute:x =~ '[a&&[b]'`, `found the end of the pattern, expected a "]"`},
		{`attribute:x =~ \k<n>`, `character 16: found a reference to group "n", expected the name of a group before it`},
		{`attribute:x =~ a**`, `character 18: found dangling '*'`},
		{"attribute:x == \x00", `character 16: found control character '\x00'`},
		{"attribute:x == \xff", `character 16: found a broken character, expected UTF-8`},
		{strings.Repeat(" ", maxLength+1), `character 1: found 2001 characters, expected at most 2000`},
		{strings.Repeat("!", maxDepth+1) + "attribute:x exists", `character 65: found "!attribute:x", expected at most 64 levels`},
		{strings.Repeat("(", maxDepth+1) + "attribute:x exists", `character 65: found "(", expected at most 64 levels`},
	} {
		_, err := Parse(tc.expr)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Parse(%q): %v, want %s", tc.expr, err, tc.want)
		}
		if errors.Is(err, ErrUnsupported) {
			t.Errorf("Parse(%q) is ErrUnsupported, but ECS does not take it either", tc.expr)
		}
	}
}

// TestUnsupportedPatterns: what Java takes and Neap does not is told apart from what neither
// takes, and where it is.
func TestUnsupportedPatterns(t *testing.T) {
	for _, tc := range []struct{ pattern, want string }{
		{`a\X`, `character 18: found a grapheme cluster, "\\X"`},
		{`\b{g}`, `the edge of a grapheme cluster`},
		{`\N{DIGIT ONE}`, `a character by its name`},
		{`(?<=a+)b`, `lookbehind that may be of any length`},
		{`\p{IsMirrored}`, `class "\\p{IsMirrored}"`},
		{strings.Repeat("(", 201) + strings.Repeat(")", 201), `character 217: found a pattern that nests too deep, expected at most 200 levels`},
	} {
		_, err := Parse("attribute:x =~ '" + tc.pattern + "'")
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.pattern, err, tc.want)
		}
	}
}

// TestJavaPatterns: patterns beyond RE2 work as patterns do elsewhere.
func TestJavaPatterns(t *testing.T) {
	on := subject("ecs.instance-type=m7g.large", "stack=prod-1", "group:service:web", "group:service:db")
	for _, tc := range []struct {
		expr string
		want bool
	}{
		{"attribute:ecs.instance-type =~ (?!t3).*", true},
		{"attribute:ecs.instance-type !~ (?!t3).*", false},
		{"attribute:missing !~ (?!t3).*", false},
		{"attribute:stack =~ '.*(?<!-1)'", false},
		{"attribute:stack =~ '(?=.*\\d)[a-z&&[^x]]+-\\p{Digit}++'", true},
		{"task:group =~ 'service:(?!web).*'", true},
		{"task:group =~ 'service:(?!web|db).*'", false},
		{"task:group !~ 'service:(?!web).*'", true},
		{"ec2InstanceId =~ '(i)-(?>a|ab)bcd\\d+'", true},
		{"agentConnected =~ '(?i)T(?!x)RUE'", true},
	} {
		if got := parse(t, tc.expr).Match(on); got != tc.want {
			t.Errorf("%s is %v", tc.expr, got)
		}
	}
}

// TestGaveUp: an expression that hangs on a pattern without an answer holds neither way, and
// the reason says why.
func TestGaveUp(t *testing.T) {
	const hard = `'(a|aa)+(?!x)b\1'`
	long := strings.Repeat("a", 60)
	on := subject("x="+long, "group:"+long)
	for _, tc := range []struct {
		expr string
		want bool
	}{
		{"attribute:x =~ " + hard, false},
		{"attribute:x !~ " + hard, false},
		{"not(attribute:x =~ " + hard + ")", false},
		{"not(not(attribute:x =~ " + hard + "))", false},
		{"not(attribute:x =~ " + hard + " and agentConnected == false)", true},
		{"attribute:x =~ " + hard + " or agentConnected == true", true},
		{"not(attribute:x =~ " + hard + " or agentConnected == false)", false},
		{"task:group =~ " + hard, false},
		{"not(task:group =~ " + hard + ")", false},
		{"not(attribute:y =~ " + hard + ")", true},
	} {
		if got := parse(t, tc.expr).Match(on); got != tc.want {
			t.Errorf("%s is %v", tc.expr, got)
		}
	}
	_, clause, why := parse(t, "attribute:x =~ "+hard).Explain(on)
	if want := "took more than 100000 steps"; !strings.Contains(why, want) || clause == "" {
		t.Errorf("%q: %q, want %s", clause, why, want)
	}
	_, clause, _ = parse(t, "attribute:x =~ "+hard+" and agentConnected == false").Explain(on)
	if clause != "agentConnected == false" {
		t.Errorf("%q is blamed, which is not known", clause)
	}
}

func TestExplain(t *testing.T) {
	on := subject("ecs.availability-zone=us-east-1b", "gpu", "group:b", "group:a", "group:b")
	crowded := subject("group:1", "group:2", "group:3", "group:4", "group:5", "group:6", "group:7")
	for _, tc := range []struct {
		expr        string
		on          *Subject
		clause, why string
	}{
		{
			"attribute:ecs.availability-zone==us-east-1a", on,
			"attribute:ecs.availability-zone == us-east-1a", "ecs.availability-zone is us-east-1b",
		},
		{
			"runningTasksCount < 9 and (attribute:stack != prod and agentConnected == false)", on,
			"attribute:stack != prod", "stack is not set",
		},
		{"attribute:gpu == a", on, "attribute:gpu == a", "gpu is set without a value"},
		{"not task:group == a", on, "not(task:group == a)", "task:group is a, b"},
		{"task:group == 8", crowded, "task:group == 8", "task:group is 1, 2, 3, 4, 5 and 2 more"},
		{"task:group == a", subject(), "task:group == a", "no task is running"},
		{
			"runningTasksCount == 1 or agentConnected == false or runningTasksCount > 9", on,
			"runningTasksCount == 1 or agentConnected == false or runningTasksCount > 9",
			"runningTasksCount is 3; agentConnected is true",
		},
		{"agentVersion > 2", on, "agentVersion > 2", "agentVersion is 1.14.5"},
		{"agentVersion > 2", &Subject{}, "agentVersion > 2", "agentVersion is unknown"},
		{"registeredAt > 2020-01-01", on, "registeredAt > 2020-01-01", "registeredAt is 2018-06-18T22:28:28Z"},
		{"registeredAt > 2020-01-01", &Subject{}, "registeredAt > 2020-01-01", "registeredAt is unknown"},
		{"ec2InstanceId == i-1", on, "ec2InstanceId == i-1", "ec2InstanceId is i-abcd1234"},
		{"ec2InstanceId == i-1", &Subject{}, "ec2InstanceId == i-1", "ec2InstanceId is not given yet"},
		{"agentConnected == true", on, "", ""},
	} {
		ok, clause, why := parse(t, tc.expr).Explain(tc.on)
		if ok != (tc.clause == "") || clause != tc.clause || why != tc.why {
			t.Errorf("%s: %v, %q, %q, want %q, %q", tc.expr, ok, clause, why, tc.clause, tc.why)
		}
	}
}

func TestMentions(t *testing.T) {
	for _, tc := range []struct {
		expr       string
		usesTasks  bool
		attributes []string
		equalities []Equality
	}{
		{"attribute:b == 1", false, []string{"b"}, []Equality{{"b", []string{"1"}}}},
		{
			"attribute:b in [2, 1] and (attribute:a == 3 and task:group == g) and attribute:b == 1", true,
			[]string{"a", "b"},
			[]Equality{{"b", []string{"2", "1"}}, {"a", []string{"3"}}, {"b", []string{"1"}}},
		},
		{"attribute:b == 1 or attribute:a == 2", false, []string{"a", "b"}, nil},
		{"not(attribute:b == 1)", false, []string{"b"}, nil},
		{"attribute:b == 1 and (attribute:a == 2 or attribute:c == 3)", false, []string{"a", "b", "c"}, []Equality{{"b", []string{"1"}}}},
		{"attribute:b != 1 and attribute:b =~ 1 and ec2InstanceId == i-1", false, []string{"b"}, nil},
		{"not(runningTasksCount > 1)", true, nil, nil},
		{"agentConnected == true", false, nil, nil},
	} {
		e := parse(t, tc.expr)
		if got := e.UsesTasks(); got != tc.usesTasks {
			t.Errorf("%s: UsesTasks is %v", tc.expr, got)
		}
		if got := e.Attributes(); !slices.Equal(got, tc.attributes) {
			t.Errorf("%s: Attributes are %v", tc.expr, got)
		}
		if got := e.Equalities(); !reflect.DeepEqual(got, tc.equalities) {
			t.Errorf("%s: Equalities are %v", tc.expr, got)
		}
	}
}

// TestLimits shows that what is within the bounds is accepted, and printed so
// that it is accepted again, however dense it is.
func TestLimits(t *testing.T) {
	dense := strings.TrimSuffix(strings.Repeat("!attribute:a==b&&", 117), "&&")
	for _, expr := range []string{
		dense,
		dense + strings.Repeat(" ", maxLength-len(dense)),
		strings.Repeat("!", maxDepth) + "attribute:x exists",
		strings.Repeat("not (", maxDepth) + "attribute:x exists" + strings.Repeat(")", maxDepth),
		"attribute:x in[" + strings.TrimSuffix(strings.Repeat("a,", 990), ",") + "]",
	} {
		roundTrip(t, expr)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	e := parse(t, benchmarkQuery)
	on := subject(benchmarkSubject...)
	if n := testing.AllocsPerRun(100, func() { e.Match(on) }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

const benchmarkQuery = "attribute:ecs.instance-type =~ m7g.* and attribute:ecs.availability-zone in [us-east-1a, us-east-1b] " +
	"and attribute:cores >= 4 and agentVersion >= 1.70.0 and registeredAt > 2018-01-01 and runningTasksCount < 40 " +
	"and (attribute:stack != prod or agentConnected == true) and not(task:group == service:db)"

var benchmarkSubject = []string{
	"ecs.instance-type=m7g.large", "ecs.availability-zone=us-east-1b", "cores=16",
	"group:service:web", "group:service:api", "group:family:batch",
}

func BenchmarkMatch(b *testing.B) {
	for _, bench := range []struct{ name, expr string }{
		{"equality", "attribute:ecs.instance-type == m7g.large"},
		{"pattern", "attribute:ecs.instance-type =~ m7g.*"},
		{"typical", benchmarkQuery},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e := parse(b, bench.expr)
			on := subject(benchmarkSubject...)
			on.AgentVersion = "1.86.3"
			if !e.Match(on) {
				b.Fatal(e.Explain(on))
			}
			b.ReportAllocs()
			for b.Loop() {
				e.Match(on)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		parse(b, benchmarkQuery)
	}
}
