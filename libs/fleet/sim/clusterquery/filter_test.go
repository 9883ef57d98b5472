package clusterquery

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// someInstance runs tasks of two groups.
func someInstance() *Instance {
	attributes := map[string]string{
		"ecs.instance-type": "g2.2xlarge", "ecs.availability-zone": "us-east-1a", "stack": "prod", "bare": "", "n": "9", "dec": "2.50",
		"path": `a/b\c`, "words": "two words", "ecs.os-type": "linux",
	}
	return &Instance{
		Attribute: func(name string) (string, bool) { v, ok := attributes[name]; return v, ok },
		Groups:    slices.Values([]string{"service:production", "service:production", "database"}), AgentConnected: true, AgentVersion: "1.14.5",
		EC2InstanceID: "i-abcd1234", RegisteredAt: time.Date(2018, 6, 18, 22, 28, 28, 0, time.UTC), RunningTasks: 3,
	}
}

// TestChecklist12FilterLanguage: what each subject and operator selects (ECS Developer
// Guide, "Cluster query language").
func TestChecklist12FilterLanguage(t *testing.T) {
	for text, want := range map[string]bool{
		"attribute:ecs.instance-type == t2.small":                                               false,
		"attribute:ecs.instance-type==g2.2xlarge":                                               true,
		"attribute:ecs.availability-zone in [us-east-1a, us-east-1b]":                           true,
		"attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d": true,
		"task:group == service:production":                                                      true,
		"not(task:group == database)":                                                           false,
		"runningTasksCount == 1":                                                                false,
		"agentVersion < 1.14.5":                                                                 false,
		"agentVersion <= 1.14.5":                                                                true,
		"agentVersion > 1.9":                                                                    true,
		"agentVersion == 1.14.5.0":                                                              true,
		"agentVersion > 1.14.5-dev":                                                             true,
		"agentVersion < 1.14.6-dev":                                                             true,
		"registeredAt < 2018-02-13":                                                             false,
		"registeredAt == 2018-06-18T22:28:28+00:00":                                             true,
		"registeredAt == 2018-06-19T00:28:28+02:00":                                             true,
		"registeredAt >= 2018-06-18T22:28:28Z":                                                  true,
		"registeredAt > 2018-06-18T22:28:28":                                                    false,
		"registeredAt > '2018-06-18'":                                                           true,
		"ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']":                                         true,
		`ec2InstanceId !in ["i-abcd1234"]`:                                                      false,
		"ec2InstanceId =~ i-.*":                                                                 true,
		"agentConnected == true":                                                                true,
		"agentConnected != true":                                                                false,
		"agentConnected in [false]":                                                             false,
		"agentConnected !~ f.*":                                                                 true,
		"attribute:stack != prod":                                                               false,
		"attribute:stack != test":                                                               true,
		"attribute:absent != prod":                                                              false,
		"attribute:absent !in [a]":                                                              false,
		"attribute:absent !~ a":                                                                 false,
		"attribute:absent == a":                                                                 false,
		"attribute:absent < 5":                                                                  false,
		"not(attribute:absent == prod)":                                                         true,
		"!attribute:absent==prod":                                                               true,
		"attribute:absent !exists":                                                              true,
		"attribute:absent not_exists":                                                           true,
		"attribute:absent exists":                                                               false,
		"attribute:bare exists":                                                                 true,
		"attribute:bare == x":                                                                   false,
		"attribute:bare != x":                                                                   true,
		"attribute:n < 10":                                                                      true,
		"attribute:n > 10":                                                                      false,
		"attribute:n < 10a":                                                                     false,
		"attribute:dec >= 2.5":                                                                  true,
		"attribute:dec == 2.5":                                                                  false,
		"attribute:stack greater_than pro":                                                      true,
		"attribute:stack less_than_equal prod":                                                  true,
		"attribute:path == a/b\\c":                                                              true,
		"attribute:words equals 'two words'":                                                    true,
		`attribute:words not_equals "two words"`:                                                false,
		"attribute:words matches 'two\\s\\w+'":                                                  true,
		"attribute:words not_matches two.*":                                                     false,
		"attribute:words matches two":                                                           false,
		"attribute:stack not_in [test,dev]":                                                     true,
		"attribute:stack in[prod]":                                                              true,
		"task:group != service:other":                                                           true,
		"task:group != database":                                                                true,
		"not(task:group == other)":                                                              true,
		"attribute:ecs.instance-type =~ (g[2,3]|p[3]).* and attribute:n == 9":                   true,
		"(attribute:ecs.instance-type =~ (g2|p3)\\.\\w+)":                                       true,
		"attribute:stack =~ [a-z&&[^t]]+||attribute:n == 8":                                     true,
		"attribute:stack =~ p(?=r).*&&attribute:n == 9":                                         true,
		"task:group exists":                                                                     true,
		"task:group =~ data.*":                                                                  true,
		"task:group in [x, database]":                                                           true,
		"runningTasksCount>2&&runningTasksCount<4||attribute:stack==x":                          true,
		"attribute:stack == x and attribute:stack == x or attribute:n == 9":                     true,
		"attribute:n == 9 or attribute:stack == x and attribute:stack == x":                     true,
		"attribute:stack =~ '[a-z&&[^t]]+' && attribute:n == 9":                                 true,
		"attribute:stack =~ 'p(?=r).*'":                                                         true,
		"(attribute:n == 9 or attribute:stack == x) and attribute:stack == x":                   false,
		"not attribute:n == 9 or attribute:n == 9":                                              true,
		"not (attribute:n == 9 or attribute:n == 9)":                                            false,
		"!!attribute:n == 9":                                                                    true,
		"not not(attribute:n == 9)":                                                             true,
		"attribute:stack == and or attribute:n == 9":                                            true,
		"attribute:stack =~ prod|test":                                                          true,
		"attribute:stack =~ [a-z]{4}":                                                           true,
		"attribute:stack =~ '(?i)PROD'":                                                         true,
		"attribute:ecs.instance-type =~ '(?!t2)g\\d\\..*+'":                                     true,
		"attribute:ecs.os-type == linux and (not (attribute:stack exists and attribute:bare exists))": false,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f.Matches(someInstance()); got != want || err != nil {
			t.Errorf("%s: %v, want %v (%v)", text, got, want, err)
		}
	}
	// An instance without tasks, agent version and attributes.
	for text, want := range map[string]bool{
		"task:group == a": false, "task:group != a": false, "task:group !in [a]": false, "not(task:group == a)": true, "task:group !exists": true,
		"agentVersion == 1.0": false, "agentVersion != 1.0": false, "agentConnected == false": true, "runningTasksCount <= 0": true,
		"attribute:a !exists": true, "ec2InstanceId != i-1": false,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f.Matches(&Instance{}); got != want || err != nil {
			t.Errorf("empty instance, %s: %v, want %v (%v)", text, got, want, err)
		}
	}
}

// TestChecklist12FilterRefused: what is no expression has an error that says what is wrong
// and how to write it (operators by subject and lengths).
func TestChecklist12FilterRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "is empty", "  ": "is empty", "attribute:a": "expected an operator after attribute:a, found the end", "attribute:a = b": "use ==",
		"attribute:a ==": "argument is missing", "attribute: == b": "name of the attribute", "stack == prod": "unknown subject",
		"Attribute:a == b": "unknown subject", "agentConnected exists": "not valid for agentConnected: use one of ==, !=, in",
		"agentConnected > true": "not valid", "agentConnected == yes": "true or false", "agentConnected in [true, maybe]": "true or false",
		"agentVersion in [1.2.3]": "not valid for agentVersion", "agentVersion =~ 1.*": "not valid", "agentVersion == new": "no agent version",
		"registeredAt > yesterday": "no date", "registeredAt > 2018-13-01": "no date", "registeredAt exists": "not valid",
		"runningTasksCount == many": "whole number", "runningTasksCount == 1.5": "whole number", "runningTasksCount in [1]": "not valid",
		"ec2InstanceId > i-1": "not valid", "attribute:a in b": "expected a list", "attribute:a in []": "expected an argument",
		"attribute:a in [b,]": "expected an argument", "attribute:a in [b c]": `"," or "]"`, "attribute:a in [b": `"," or "]"`, "attribute:a == [b]": "expected an argument",
		"attribute:a == 'b": "not closed", "attribute:a == 'b'c": "unexpected", "attribute:a == b c": "unexpected", "attribute:a == b and": "expected a subject",
		"(attribute:a == b": `")" is missing`, "attribute:a == b)": "unexpected", "and attribute:a == b": "unknown subject", "attribute:a exists b": "unexpected",
		"attribute:a =~ '('": "unclosed group", "attribute:a =~ *": "dangling", "attribute:a ! exists": "expected an operator", "attribute:a !existsx": "expected an operator",
		"attribute:a == b(c)": "unexpected", "attribute:a == ''": "is empty", "registeredAt > 2018-06-18T22:28:28.5Z": "no date", strings.Repeat("(", 1000): "deeper", strings.Repeat("!", 1999): "deeper",
		"attribute:a == " + strings.Repeat("b", 2000): "2015 characters", "attribute:a == \xff": "UTF-8",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want it to say %q", text, err, want)
		}
	}
	if _, err := Parse("attribute:a == " + strings.Repeat("é", 1985)); err != nil {
		t.Errorf("2000 characters: %v", err)
	}
	f, err := Parse("runningTasksCount == 3 and attribute:stack =~ '(p*r*o*d*)*(p*r*o*d*)*x' or attribute:n == 9")
	if err != nil {
		t.Fatal(err)
	}
	i := someInstance()
	i.Attribute = func(string) (string, bool) { return strings.Repeat("prod", 30), true }
	if ok, err := f.Matches(i); ok || err == nil || !strings.Contains(err.Error(), "too many steps") {
		t.Errorf("a pattern without end: %v, %v", ok, err)
	}
}

// FuzzParse: whatever the text, there is an answer or an error, and the answer is the same
// twice.
func FuzzParse(f *testing.F) {
	f.Add("attribute:a == b and not(task:group =~ 'x(?=y)*+') or registeredAt > 2018-01-01")
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text)
		if err != nil {
			return
		}
		first, err := filter.Matches(someInstance())
		again, err2 := filter.Matches(someInstance())
		if first != again || (err == nil) != (err2 == nil) {
			t.Errorf("%q: %v %v, then %v %v", text, first, err, again, err2)
		}
	})
}

// FuzzCompile: whatever the pattern, it is refused or ends.
func FuzzCompile(f *testing.F) {
	f.Add(`(?i)[a-z&&[^\d]]{2,3}+(?<=x)\1|\Q.\E`, "abc")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		p, err := compile(pattern)
		if err != nil || len(value) > 300 {
			return
		}
		if _, err := p.matches(value); err != nil && p == nil {
			t.Error(err)
		}
	})
}
