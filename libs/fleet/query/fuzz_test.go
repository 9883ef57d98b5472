package query

import "testing"

// FuzzParse checks that no text makes Parse panic, and that every expression it
// accepts prints as itself, and answers and explains consistently.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		benchmarkQuery,
		"attribute:x==od", "attribute:x!exists", "task:group !in ['a b',c]", "!(agentConnected==true)||agentVersion<1.2-rc",
		`attribute:x =~ (a[)\]]|b).* and attribute:y !~ '^[^"]$'`, `attribute:x =~ a||attribute:x =~ b\ `,
		"attribute:x =~ (?!a).*(?<!b)", `attribute:ecs.instance-type =~ (m)(?:7g|\\1)++.*`, "attribute:x =~ a{1000}", "registeredAt > 2018-06-18T22:28:28+00:00", "ec2InstanceId in [\"'\"]",
		"not not(((attribute:é exists)))", "attribute:x == and and attribute:x == or",
	} {
		f.Add(seed)
	}
	on := subject(benchmarkSubject...)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		roundTrip(t, text)
		again := parse(t, e.String())
		if e.Match(on) != again.Match(on) {
			t.Fatalf("%q and %q answer differently", text, again)
		}
		checkExplain(t, e, on)
	})
}

// checkExplain checks that Explain agrees with Match and blames a clause that
// is an expression of its own and false.
func checkExplain(t *testing.T, e *Expr, on *Subject) {
	t.Helper()
	ok, clause, why := e.Explain(on)
	if ok != e.Match(on) || ok != (clause == "") || ok != (why == "") {
		t.Fatalf("%s matches: %v, but is explained by %v, %q, %q", e, e.Match(on), ok, clause, why)
	}
	if !ok && len(clause) <= maxLength && parse(t, clause).Match(on) {
		t.Fatalf("%s fails because of %s, which does not", e, clause)
	}
}
