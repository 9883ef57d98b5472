package neap_test

import (
	"fmt"
	"slices"
	"strings"
)

// ruleCases are small repositories. want is part of the one finding expected;
// empty means that the rule must stay silent.
var ruleCases = []struct {
	rule  string
	name  string
	files map[string]string
	want  string
}{
	{
		"core-imports", "third-party",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"golang.org/x/sync/errgroup\"\nvar _ errgroup.Group"},
		"a.go:2:8: imports golang.org/x/sync/errgroup",
	},
	{
		"core-imports", "third-party in a test",
		map[string]string{"libs/fleet/pack/a_test.go": "package pack\nimport \"pgregory.net/rapid\"\nvar _ rapid.T"},
		"imports pgregory.net/rapid",
	},
	{
		"core-imports", "adapters",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"" + module + "/libs/adapters/bus\""},
		"libs/adapters/bus",
	},
	{
		"core-imports", "name that only begins like the core",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"" + module + "/libs/fleetwide\""},
		"libs/fleetwide",
	},
	{
		"core-imports", "standard library and itself",
		map[string]string{
			"libs/fleet/plan/a.go": "package plan\nimport (\n\"slices\"\n\"" + core + "\"\n)\nvar _ = slices.Sort[[]int]\nvar _ fleet.X",
			"libs/adapters/bus.go": "package bus\nimport \"github.com/nats-io/nats.go\"\nvar _ nats.Conn",
		},
		"",
	},

	{
		"core-pure", "network",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"net/http\""},
		"imports net/http",
	},
	{
		"core-pure", "files",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"os\""},
		"imports os",
	},
	{
		"core-pure", "log",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"log/slog\""},
		"imports log/slog",
	},
	{
		"core-pure", "math/rand",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"math/rand\""},
		"imports math/rand",
	},
	{
		"core-pure", "global chance",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"math/rand/v2\"\nvar x = rand.IntN(3)"},
		"uses math/rand/v2.IntN",
	},
	{
		"core-pure", "generic global chance under another name",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport chance \"math/rand/v2\"\nvar x = chance.N(int64(3))"},
		"uses math/rand/v2.N",
	},
	{
		"core-pure", "clock",
		map[string]string{"libs/fleet/plan/a.go": "package plan\nimport \"time\"\nfunc f() { _ = time.Now() }"},
		"uses time.Now",
	},
	{
		"core-pure", "clock as a value",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"time\"\nvar clock = time.Now"},
		"uses time.Now",
	},
	{
		"core-pure", "since",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"time\"\nfunc f(t time.Time) any { return time.Since(t) }"},
		"uses time.Since",
	},
	{
		"core-pure", "after",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"time\"\nvar c = time.After(1)"},
		"uses time.After",
	},
	{
		"core-pure", "sleep",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
		"uses time.Sleep",
	},
	{
		"core-pure", "tick",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"time\"\nvar c = time.Tick(1)"},
		"uses time.Tick",
	},
	{
		"core-pure", "timer",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"time\"\nvar c = time.NewTimer(1)"},
		"uses time.NewTimer",
	},
	{
		"core-pure", "clock under another name",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport clock \"time\"\nvar now = clock.Now()"},
		"uses time.Now",
	},
	{
		"core-pure", "clock hidden by a dot",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport . \"time\"\nvar now = Now()"},
		"with a dot",
	},
	{
		"core-pure", "deadline",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"context\"\nfunc f(c context.Context) { context.WithTimeout(c, 1) }"},
		"uses context.WithTimeout",
	},
	{
		"core-pure", "goroutine",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc f() { go f() }"},
		"starts a goroutine",
	},
	{
		"core-pure", "print",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"fmt\"\nfunc f() { fmt.Println() }"},
		"uses fmt.Println",
	},
	{
		"core-pure", "built-in print",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc f() { println(1) }"},
		"prints",
	},
	{
		"core-pure", "seeded chance, given time, tests, other modules",
		map[string]string{
			"libs/fleet/a.go": "package fleet\nimport (\n\"fmt\"\n\"math/rand/v2\"\n_ \"net/netip\"\n\"time\"\n)\n" +
				"func f(seed uint64, at time.Time) string {\n r := rand.New(rand.NewPCG(seed, 0))\n return fmt.Sprint(r.IntN(3), at.Add(time.Second)) }\n" +
				"type clock struct{ Now int }\nfunc g(time clock) int { return time.Now }",
			"libs/fleet/a_test.go":    "package fleet\nimport (\n\"os\"\n\"time\"\n)\nfunc h() { go h(); _, _ = os.Args, time.Now() }",
			"services/watcher/a.go":   "package watcher\nimport \"time\"\nvar now = time.Now()",
			"libs/fleetwide/clock.go": "package fleetwide\nimport \"time\"\nvar now = time.Now()",
		},
		"",
	},

	{
		"core-order", "vocabulary imports query",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport _ \"" + core + "/query\""},
		"fleet/ imports fleet/query",
	},
	{
		"core-order", "query imports place",
		map[string]string{"libs/fleet/query/a.go": "package query\nimport _ \"" + core + "/place\""},
		"fleet/query imports fleet/place",
	},
	{
		"core-order", "place imports pack",
		map[string]string{"libs/fleet/place/a.go": "package place\nimport _ \"" + core + "/pack\""},
		"fleet/place imports fleet/pack",
	},
	{
		"core-order", "pack imports plan",
		map[string]string{"libs/fleet/pack/lower/a.go": "package lower\nimport _ \"" + core + "/plan\""},
		"fleet/pack imports fleet/plan",
	},
	{
		"core-order", "plan imports sim",
		map[string]string{"libs/fleet/plan/a.go": "package plan\nimport _ \"" + core + "/sim\""},
		"fleet/plan imports fleet/sim",
	},
	{
		"core-order", "drain imports plan",
		map[string]string{"libs/fleet/drain/a.go": "package drain\nimport _ \"" + core + "/plan\""},
		"fleet/drain imports fleet/plan",
	},
	{
		"core-order", "downwards, within a package and in tests",
		map[string]string{
			"libs/fleet/plan/a.go":                "package plan\nimport (\n_ \"" + core + "\"\n_ \"" + core + "/pack\"\n_ \"" + core + "/place\"\n_ \"" + core + "/plan/internal/draft\"\n)",
			"libs/fleet/sim/a.go":                 "package sim\nimport (\n_ \"" + core + "/drain\"\n_ \"" + core + "/plan\"\n)",
			"libs/fleet/drain/a.go":               "package drain\nimport _ \"" + core + "/action\"",
			"libs/fleet/place/a_test.go":          "package place_test\nimport _ \"" + core + "/sim\"",
			"libs/fleet/plan/internal/draft/a.go": "package draft",
		},
		"",
	},

	{
		"core-map-range", "range over a map",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc f(m map[string]int) (s []string) {\n for k := range m { s = append(s, k) }\n return }"},
		"a.go:3:2: ranges over a map",
	},
	{
		"core-map-range", "named map type of another package",
		map[string]string{
			"libs/fleet/a.go":      "package fleet\ntype Counts map[string]int",
			"libs/fleet/pack/a.go": "package pack\nimport \"" + core + "\"\nfunc f(c struct{ All fleet.Counts }) (n int) { for _, v := range c.All { n ^= v }; return }",
		},
		"pack/a.go:3:48: ranges over a map",
	},
	{
		"core-map-range", "type parameter",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc f[M ~map[K]V, K comparable, V any](m M) (k K) { for k = range m { }; return }"},
		"ranges over a map",
	},
	{
		"core-map-range", "keys unsorted",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport \"maps\"\nfunc f(m map[int]int) { for range maps.Keys(m) { } }"},
		"uses maps.Keys",
	},
	{
		"core-map-range", "values collected unsorted",
		map[string]string{"libs/fleet/a.go": "package fleet\nimport (\n\"maps\"\n\"slices\"\n)\nfunc f(m map[int]int) []int { return slices.Collect(maps.Values(m)) }"},
		"uses maps.Values",
	},
	{
		"core-map-range", "excuse without a reason",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc f(m map[int]int) (n int) {\n //neap:unordered\n for k := range m { n += k }\n return }"},
		"without a reason",
	},
	{
		"core-map-range", "excuse too far away",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc f(m map[int]int) (n int) {\n //neap:unordered a sum\n\n for k := range m { n += k }\n return }"},
		"ranges over a map",
	},
	{
		"core-map-range", "does not type-check",
		map[string]string{"libs/fleet/a.go": "package fleet\nvar x int = \"\""},
		"does not type-check",
	},
	{
		"core-map-range", "chosen order",
		map[string]string{
			"libs/fleet/a.go": "package fleet\nimport (\n\"maps\"\n\"slices\"\n)\nfunc f(m map[int]int, s []int) (n int) {\n" +
				" for range m { n++ }\n for _, k := range s { n -= m[k] }\n for _, k := range slices.Sorted(maps.Keys(m)) { n ^= k }\n" +
				" //neap:unordered a sum\n for k := range m { n += k }\n _ = maps.Collect(maps.All(m))\n return }",
			"libs/fleet/a_test.go":    "package fleet\nfunc g(m map[int]int) { for k := range m { println(k) } }",
			"services/planner/map.go": "package planner\nfunc g(m map[int]int) { for k := range m { println(k) } }",
		},
		"",
	},

	{
		"sim-users", "a service",
		map[string]string{"services/planner/a.go": "package planner\nimport _ \"" + core + "/sim\""},
		"imports the simulated world",
	},
	{
		"sim-users", "another adapter",
		map[string]string{"libs/adapters/cloud/a.go": "package cloud\nimport _ \"" + core + "/sim/script\""},
		"imports the simulated world",
	},
	{
		"sim-users", "those that may",
		map[string]string{
			"libs/adapters/cloud/awssim/a.go": "package awssim\nimport _ \"" + core + "/sim\"",
			"cmd/neap/main.go":                "package main\nimport _ \"" + core + "/sim\"",
			"test/e2e/a.go":                   "package e2e\nimport _ \"" + core + "/sim\"",
			"services/drainer/a_test.go":      "package drainer\nimport _ \"" + core + "/sim\"",
			"services/drainer/b.go":           "package drainer\nimport _ \"" + core + "/simple\"",
		},
		"",
	},

	{
		"services-apart", "another service",
		map[string]string{"services/planner/cmd/planner/main.go": "package main\nimport _ \"" + module + "/services/watcher\""},
		"services/planner imports services/watcher",
	},
	{
		"services-apart", "another service, in a test",
		map[string]string{"services/planner/a_test.go": "package planner\nimport _ \"" + module + "/services/watcher/inner\""},
		"services/planner imports services/watcher",
	},
	{
		"services-apart", "its own package, and the demonstration",
		map[string]string{
			"services/planner/cmd/planner/main.go": "package main\nimport _ \"" + module + "/services/planner\"",
			"cmd/neap/main.go":                     "package main\nimport (\n_ \"" + module + "/services/planner\"\n_ \"" + module + "/services/watcher\"\n)",
		},
		"",
	},

	{
		"clients", "aws in a service",
		map[string]string{"services/drainer/a.go": "package drainer\nimport _ \"github.com/aws/aws-sdk-go-v2/service/ec2\""},
		"belongs in libs/adapters/cloud",
	},
	{
		"clients", "nats in a service",
		map[string]string{"services/drainer/a_test.go": "package drainer\nimport _ \"github.com/nats-io/nats.go/jetstream\""},
		"belongs in libs/adapters/bus",
	},
	{
		"clients", "nats in the command",
		map[string]string{"cmd/neap/a.go": "package main\nimport _ \"github.com/nats-io/nats.go\""},
		"belongs in libs/adapters/bus",
	},
	{
		"clients", "embedded nats in a service",
		map[string]string{"libs/adapters/service/a.go": "package service\nimport _ \"github.com/nats-io/nats-server/v2/server\""},
		"belongs in libs/adapters/bus or cmd",
	},
	{
		"clients", "redis in another adapter",
		map[string]string{"libs/adapters/cloud/a.go": "package cloud\nimport _ \"github.com/redis/go-redis/v9\""},
		"belongs in libs/adapters/cache",
	},
	{
		"clients", "miniredis in a service",
		map[string]string{"services/watcher/a.go": "package watcher\nimport _ \"github.com/alicebob/miniredis/v2\""},
		"belongs in libs/adapters/cache or cmd",
	},
	{
		"clients", "traced aws outside the cloud",
		map[string]string{"libs/adapters/service/a.go": "package service\nimport _ \"go.opentelemetry.io/contrib/instrumentation/github.com/aws/aws-sdk-go-v2/otelaws\""},
		"belongs in libs/adapters/cloud",
	},
	{
		"clients", "each in its place",
		map[string]string{
			"libs/adapters/bus/a.go":          "package bus\nimport (\n_ \"github.com/nats-io/nats.go\"\n_ \"github.com/nats-io/nats-server/v2/server\"\n)",
			"libs/adapters/cloud/awssim/a.go": "package awssim\nimport _ \"github.com/aws/smithy-go\"",
			"libs/adapters/cache/a.go":        "package cache\nimport _ \"github.com/redis/go-redis/v9\"",
			"cmd/neap/a.go":                   "package main\nimport (\n_ \"github.com/nats-io/nats-server/v2/server\"\n_ \"github.com/alicebob/miniredis/v2\"\n)",
			"test/chaos/a_test.go":            "package chaos\nimport _ \"github.com/nats-io/nats.go\"",
		},
		"",
	},

	{
		"planner-no-aws", "straight",
		map[string]string{"services/planner/a.go": "package planner\nimport _ \"github.com/aws/aws-sdk-go-v2/aws\""},
		"services/planner -> github.com/aws/aws-sdk-go-v2/aws",
	},
	{
		"planner-no-aws", "through an adapter",
		map[string]string{
			"services/planner/cmd/planner/main.go": "package main\nimport _ \"" + module + "/libs/adapters/service\"",
			"libs/adapters/service/a.go":           "package service\nimport _ \"" + module + "/libs/adapters/cloud\"",
			"libs/adapters/cloud/a.go":             "package cloud\nimport _ \"github.com/aws/aws-sdk-go-v2/aws\"",
		},
		"/libs/adapters/service -> " + module + "/libs/adapters/cloud",
	},
	{
		"planner-no-aws", "other services may",
		map[string]string{
			"services/planner/a.go":  "package planner\nimport _ \"" + module + "/libs/adapters/bus\"",
			"services/watcher/a.go":  "package watcher\nimport _ \"" + module + "/libs/adapters/cloud\"",
			"libs/adapters/bus/a.go": "package bus\nimport _ \"github.com/nats-io/nats.go\"",
		},
		"",
	},

	{
		"main-short", "41 lines",
		map[string]string{"services/planner/cmd/planner/main.go": "package main\n" + strings.Repeat("\n", 40)},
		"main.go: 41 lines",
	},
	{
		"main-short", "40 lines, and long files elsewhere",
		map[string]string{
			"services/planner/cmd/planner/main.go": "package main\n" + strings.Repeat("\n", 39),
			"services/planner/planner.go":          "package planner\n" + strings.Repeat("\n", 90),
			"cmd/neap/main.go":                     "package main\n" + strings.Repeat("\n", 90),
		},
		"",
	},

	{
		"package-doc", "none",
		map[string]string{"libs/fleet/pack/a.go": "package pack"},
		"libs/fleet/pack: no comment",
	},
	{
		"package-doc", "of another package",
		map[string]string{"libs/fleet/pack/a.go": "// Package place is this.\npackage pack"},
		"libs/fleet/pack: no comment",
	},
	{
		"package-doc", "on a test only",
		map[string]string{"cmd/neap/main.go": "package main", "cmd/neap/main_test.go": "// Command neap.\npackage main"},
		"cmd/neap: no comment",
	},
	{
		"package-doc", "in one of the files, and a folder of tests",
		map[string]string{
			"libs/fleet/pack/doc.go": "// Package pack packs.\npackage pack",
			"libs/fleet/pack/a.go":   "package pack",
			"cmd/neap/main.go":       "// Command neap does it all.\npackage main",
			"test/e2e/a_test.go":     "package e2e",
		},
		"",
	},

	{
		"exported-doc", "function",
		map[string]string{"libs/fleet/a.go": "package fleet\nfunc Make() {}"},
		"Make has no comment",
	},
	{
		"exported-doc", "method",
		map[string]string{"libs/fleet/a.go": "package fleet\n// T is.\ntype T[K any] struct{}\nfunc (t *T[K]) Do() {}"},
		"Do has no comment",
	},
	{
		"exported-doc", "type in a group",
		map[string]string{"libs/adapters/bus/a.go": "package bus\n// Both.\ntype (\n// A is.\nA int\nB int\n)"},
		"B has no comment",
	},
	{
		"exported-doc", "constant",
		map[string]string{"libs/fleet/a.go": "package fleet\nconst Most = 3"},
		"Most has no comment",
	},
	{
		"exported-doc", "variable whose comment is a directive",
		map[string]string{"libs/fleet/a.go": "package fleet\n//nolint:all\nvar Most = 3"},
		"Most has no comment",
	},
	{
		"exported-doc", "documented, unexported or elsewhere",
		map[string]string{
			"libs/fleet/a.go": "package fleet\n// T is.\ntype T int\n// Units.\nconst (\nA T = iota\nB\n)\nvar C = 1 // C counts\n" +
				"// Do does.\nfunc (T) Do() {}\nfunc (T) String() string { return \"\" }\ntype u int\nfunc (u) String() string { return \"\" }\nfunc f() {}",
			"libs/fleet/a_test.go":  "package fleet\nfunc TestX() {}",
			"services/planner/a.go": "package planner\nfunc Run() {}",
		},
		"",
	},

	{"checklist", "a test that is not there", checklistOf("`TestDrains`", ""), simulatedAWS + ":2: there is no test TestDrains"},
	{"checklist", "a test that the page does not name", checklistOf("", "func TestChecklist05Deadlock() {}"), "TestChecklist05Deadlock is not in the checklist"},
	{"checklist", "an item without a test", checklistOf("", "", 7), "no test shows item 07"},
	{"checklist", "all of it, and a test of something else", checklistOf("`TestDrains`, `DescribeTasks`", "func TestDrains() {}\nfunc TestAll() {}"), ""},

	{
		"no-machine", "path",
		map[string]string{"docs/a.md": "one\nsee /wo" + "rk/main\n"},
		"docs/a.md:2",
	},
	{
		"no-machine", "registry",
		map[string]string{"Dockerfile": "ENV GOPROXY=https://proxy.go" + "lang.org"},
		"Dockerfile:1",
	},
	{
		"no-machine", "other words, and what is not text",
		map[string]string{"a.md": "the workspace and its network/", "logo.png": "\x00/wo" + "rk/"},
		"",
	},
}

// checklistOf is a repository with a page that names a test of each item but some, and what
// else is given.
func checklistOf(page, tests string, without ...int) map[string]string {
	page, tests = "# Checklist\n"+page, "package sim\n"+tests+"\n"
	for n := 1; n <= checklistItems; n++ {
		if !slices.Contains(without, n) {
			page += fmt.Sprintf("\n`TestChecklist%02d`", n)
			tests += fmt.Sprintf("func TestChecklist%02d() {}\n", n)
		}
	}
	return map[string]string{simulatedAWS: page, "libs/fleet/sim/a_test.go": tests}
}
