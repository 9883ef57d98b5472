package plan_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

var update = flag.Bool("update", false, "rewrite the expected plans in testdata")

// TestScripts plays every script in testdata: a title after "==", the world, "plan", and
// below the dashes the plan that is expected.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		head, cases, _ := strings.Cut(string(text), "\n== ")
		out, played := strings.TrimSpace(head)+"\n", true
		for c := range strings.SplitSeq(cases, "\n== ") {
			title, body, _ := strings.Cut(c, "\n")
			world, want, _ := strings.Cut(body, "\nplan\n----\n")
			world = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(world), "plan"))
			ran := false
			t.Run(filepath.Base(name)+"/"+title, func(t *testing.T) {
				s, err := read(world)
				if err != nil {
					t.Fatal(err)
				}
				p := s.make()
				if err := p.Validate(); err != nil {
					t.Errorf("the plan is not valid: %v", err)
				}
				got := s.render(&p)
				if strings.TrimSpace(got) != strings.TrimSpace(want) && !*update {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", world, got, want)
				}
				out += "\n== " + title + "\n" + world + "\nplan\n----\n" + strings.TrimSpace(got) + "\n"
				ran = true
			})
			played = played && ran // one that -run leaves out, or that cannot be read, must not get lost
		}
		if *update && played && !bytes.Equal([]byte(out), text) {
			if err := os.WriteFile(name, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDerivedPolicyFitsTheCluster: a policy made from what runs is valid, and launches more
// of the same.
func TestDerivedPolicyFitsTheCluster(t *testing.T) {
	s, err := read(`
service web desired=9 cpu=1024 mem=1024
instance i-1 m7i.large zone=a tasks=web*2 not-ours
instance i-2 m7i.large zone=b tasks=web*2 not-ours spot
instance i-3 m7i.large zone=b tasks=web*1 not-ours status=gone`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.snap.Instances {
		s.snap.Instances[i].Subnet = fleet.SubnetID("subnet-" + s.snap.Instances[i].Zone)
	}
	pol := plan.DerivePolicy(s.snap)
	if err := pol.Validate(); err != nil {
		t.Fatal(err)
	}
	spec := pol.LaunchSpecs[0]
	if pol.Limits.MaxInstances != 10 || !*pol.DryRun || *spec.SpotPercentage != 50 || len(spec.Subnets) != 2 || spec.Types.Allow[0] != "m7i.*" || spec.Images[0] != "ami-1" {
		t.Errorf("derived %+v", pol)
	}
	p := plan.Make(s.snap, pol, fleet.Memory{Generation: 1})
	if len(p.Actions) == 0 || p.Actions[0].Launch == nil || !p.DryRun {
		t.Errorf("nothing is launched:\n%s", s.render(&p))
	}
	adopted := plan.Adopt(s.snap, pol)
	for i := range adopted.Instances {
		if adopted.Instances[i].Owner == "" || s.snap.Instances[i].Owner != "" {
			t.Errorf("%s: owner %q, before %q", adopted.Instances[i].ID, adopted.Instances[i].Owner, s.snap.Instances[i].Owner)
		}
	}
}

// TestEmptyClusterHasAPlan: the smallest input there is makes a valid plan.
func TestEmptyClusterHasAPlan(t *testing.T) {
	s, err := read("")
	if err != nil {
		t.Fatal(err)
	}
	p := s.make()
	if err := p.Validate(); err != nil || !p.Empty() {
		t.Errorf("%v\n%s", err, s.render(&p))
	}
}
