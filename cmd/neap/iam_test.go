package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/adapters/cloud"
)

// iamDir holds the policies for any account, for people who do not want to run anything.
const iamDir = "../../deploy/iam"

// TestIAMFiles: the files of deploy/iam are what neap iam prints.
func TestIAMFiles(t *testing.T) {
	files := map[string]string{}
	for name, format := range map[string]string{"neap.tf.json": "terraform", "neap.cloudformation.json": "cloudformation", "policies.json": "json"} {
		out, errs, code := neap(t, "iam", "-o", format)
		if code != 0 {
			t.Fatalf("neap iam -o %s: exit %d: %s", format, code, errs)
		}
		files[name] = out
	}
	var policies map[string]cloud.PolicyDocument
	if err := json.Unmarshal([]byte(files["policies.json"]), &policies); err != nil {
		t.Fatal(err)
	}
	delete(files, "policies.json")
	for service, p := range policies {
		var b strings.Builder
		if err := writeJSON(&b, p); err != nil {
			t.Fatal(err)
		}
		files[service+".json"] = b.String()
	}
	for name, want := range files {
		file := filepath.Join(iamDir, name)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what neap iam prints (%v): make golden, and read the diff", file, err)
		}
	}
}

func TestIAM(t *testing.T) {
	out, _, code := neap(t, "iam", "--cluster", "web", "--account", "123456789012", "--installation", "prod", "-o", "json")
	for _, want := range []string{`"arn:*:ecs:*:123456789012:cluster/web"`, `"aws:ResourceTag/neap.dev/owner": [`, `"prod"`} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, and no %s in\n%s", code, want, out)
		}
	}
	if out, _, code := neap(t, "iam"); code != 0 || !strings.Contains(out, "TerminateOwn") || !strings.Contains(out, "planner") {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, args := range [][]string{
		{"--cluster", "we*"},
		{"--account", "12"},
		{"--queue", "https://sqs/1/q"},
		{"--region", "EU West"},
		{"--partition", "azure"},
		{"--node-role", "ro*"},
		{"--installation", "*"},
	} {
		_, errs, code := neap(t, append([]string{"iam"}, args...)...)
		if code != exitInput || !strings.Contains(errs, args[0]) || !strings.Contains(errs, args[1]) {
			t.Errorf("neap iam %q: exit %d: %s", args, code, errs)
		}
	}
}
