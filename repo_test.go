package neap_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRepository checks every rule against the repository as it is.
//
// It opens every file itself: that is how the test cache notices that a file
// of another module has changed.
func TestRepository(t *testing.T) {
	repo, err := newTree(readFiles(t, "."))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(repo) {
				t.Errorf("%s\n\t%s", f, r.why)
			}
		})
	}
}

// TestPlannerReachesNoAWS asks the go command what the planner links, so that
// a third-party package cannot bring the AWS SDK in either.
func TestPlannerReachesNoAWS(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", module+"/services/planner/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	for _, path := range awsAmong(strings.Fields(string(out))) {
		t.Errorf("services/planner depends on %s: it must not be able to call AWS", path)
	}
}

func TestAWSAmong(t *testing.T) {
	deps := []string{
		"fmt",
		module + "/libs/fleet/plan",
		module + "/libs/adapters/cloud",
		"github.com/aws/smithy-go/middleware",
		"github.com/awslabs/other",
	}
	got := strings.Join(awsAmong(deps), " ")
	if want := module + "/libs/adapters/cloud github.com/aws/smithy-go/middleware"; got != want {
		t.Errorf("awsAmong = %q, want %q", got, want)
	}
}

// TestRules shows each rule a repository that breaks it, and one close by that
// does not: a rule that cannot fail, or that always does, is found here.
func TestRules(t *testing.T) {
	byName := map[string]rule{}
	broken := map[string]int{}
	for _, r := range rules {
		byName[r.name] = r
	}
	for _, c := range ruleCases {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			r, ok := byName[c.rule]
			if !ok {
				t.Fatalf("there is no rule %q", c.rule)
			}
			files := map[string][]byte{}
			for path, text := range c.files {
				files[path] = []byte(text)
			}
			repo, err := newTree(files)
			if err != nil {
				t.Fatal(err)
			}
			found := r.check(repo)
			if c.want == "" {
				if len(found) > 0 {
					t.Errorf("reported, although nothing is wrong:\n%s", strings.Join(found, "\n"))
				}
				return
			}
			broken[c.rule]++
			if len(found) != 1 || !strings.Contains(found[0], c.want) {
				t.Errorf("want one finding with %q, got %d:\n%s", c.want, len(found), strings.Join(found, "\n"))
			}
		})
	}
	for _, r := range rules {
		if broken[r.name] == 0 {
			t.Errorf("no case shows that rule %q can fail", r.name)
		}
	}
}

// readFiles reads every file below root that could be committed, by its path
// from root with forward slashes.
func readFiles(t *testing.T, root string) map[string][]byte {
	t.Helper()
	ignored := map[string]bool{".git": true, "bin": true, "dist": true, "node_modules": true, ".idea": true, ".vscode": true}
	const largest = 4 << 20 // what is larger is data, not something that we wrote
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if ignored[entry.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Size() > largest {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)] = text
		return nil
	})
	if err != nil {
		t.Fatalf("read the repository: %v", err)
	}
	return files
}
