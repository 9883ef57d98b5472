package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m,
		// zstd keeps its encoders for the life of the process.
		goleak.IgnoreTopFunction("github.com/klauspost/compress/zstd.(*blockDec).startDecoder"))
}

// neap runs a command as a person would and returns what it printed and its exit code.
func neap(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	return neapWith(t.Context(), "", args...)
}

func neapWith(ctx context.Context, input string, args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	code = run(ctx, args, console{out: &o, err: &e, in: strings.NewReader(input)})
	return o.String(), e.String(), code
}

const goodPolicy = "../../docs/examples/policy.yaml"

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"plan", "--help"}, {"demo", "--help"}, {"policy", "apply", "--help"}, {"aws", "--help"}} {
		out, errs, code := neap(t, args...)
		if code != 0 || !strings.Contains(out, "Usage: neap") || errs != "" {
			t.Errorf("%v: code %d\n%s%s", args, code, out, errs)
		}
	}
	out, _, _ := neap(t, "plan", "--help")
	for _, want := range []string{"neap plan --cluster web", "container-instances.json", "aws ecs describe-services"} {
		if !strings.Contains(out, want) {
			t.Errorf("neap plan --help does not mention %q", want)
		}
	}
}

// TestBadInput: one clear error that names the field, the value and the remedy, and an
// exit code that tells bad input from failure.
func TestBadInput(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("AWS_ENDPOINT_URL", "")
	for label, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown command":      {[]string{"plna"}, exitInput, "unexpected argument plna"},
		"plan of nothing":      {[]string{"plan"}, exitInput, "--cluster NAME, --snapshot FILE or --aws-json DIR"},
		"two sources":          {[]string{"plan", "--cluster", "a", "--snapshot", "b"}, exitInput, "can't be used together"},
		"no such folder":       {[]string{"plan", "--aws-json", dir + "/none"}, exitInput, "none: no such file"},
		"snapshot is no JSON":  {[]string{"plan", "--snapshot", file("s.json", "hello")}, exitInput, "decode snapshot: invalid character"},
		"hostile cluster name": {[]string{"plan", "--cluster", "a.>"}, exitInput, `cluster name "a.>": use 1 to 255 letters`},
		"bad JSON in a folder": {[]string{"plan", "--aws-json", filepath.Dir(file("services.json", "{\n\"services\": [}"))}, exitInput, "services.json:2"},
		"policy: unknown key":  {[]string{"policy", "validate", file("p.yaml", "limts: {}\n")}, exitInput, `p.yaml:1:1: unknown key "limts"; did you mean "limits"?`},
		"policy: no file":      {[]string{"policy", "validate", dir + "/none.yaml"}, exitInput, "none.yaml: no such file"},
		"policy: no cluster":   {[]string{"policy", "apply", goodPolicy}, exitInput, "--cluster: not given"},
		"port in use":          {[]string{"aws", "--listen", taken.Addr().String()}, exitInput, "address already in use; choose another port"},
		"no NATS":              {[]string{"status", "--nats-url", "nats://127.0.0.1:1"}, exitFailed, "NATS_URL"},
		"protect without why":  {[]string{"protect", "i-1"}, exitInput, "--why: not given; say for what reason i-1 is to be kept"},
		"protect nothing":      {[]string{"protect", "--why", "x"}, exitInput, "INSTANCE: not given; say which instance"},
		"protect for less":     {[]string{"protect", "i-1", "--why", "x", "--for=-2h"}, exitInput, "--for -2h0m0s: write how long from now"},
		"protect for ever":     {[]string{"protect", "i-1", "--why", "x", "--for", "ever"}, exitInput, "--for"},
		"unprotect nothing":    {[]string{"unprotect"}, exitInput, "<instance>"},
		"pause without why":    {[]string{"pause", "--all"}, exitInput, "--why"},
		"unknown scenario":     {[]string{"demo", "--scenario", "flood"}, exitInput, `--scenario "flood" is unknown; use one of`},
		"speed of no clock":    {[]string{"aws", "--speed=-1"}, exitInput, "--speed -1: use a number from 0, a standstill, to 10000"},
		"impossible speed":     {[]string{"demo", "--speed", "0"}, exitInput, "--speed 0: use more than 0"},
	} {
		t.Run(label, func(t *testing.T) {
			out, errs, code := neap(t, test.args...)
			if code != test.code || !strings.Contains(errs, test.says) {
				t.Errorf("code %d, want %d, saying %q\n%s%s", code, test.code, test.says, out, errs)
			}
		})
	}
}

func TestPolicyCommands(t *testing.T) {
	out, errs, code := neap(t, "policy", "validate", goodPolicy)
	if code != 0 || !strings.Contains(out, "is valid: 2 launch specs, at most 100 instances, dry run on") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	full, _, code := neap(t, "policy", "validate", "-o", "yaml", goodPolicy)
	if code != 0 || !strings.Contains(full, "cooldown: 5m0s") {
		t.Errorf("code %d: %s", code, full)
	}
	if _, errs, code := neapWith(t.Context(), full, "policy", "validate", "-"); code != 0 {
		t.Errorf("what it printed is not valid again: %s", errs)
	}
	schema, _, code := neap(t, "policy", "schema")
	if code != 0 || !json.Valid([]byte(schema)) {
		t.Errorf("code %d: %s", code, schema)
	}
}

// TestPlanFromAWSJSON: the table that somebody sees who tries Neap on JSON of their own.
func TestPlanFromAWSJSON(t *testing.T) {
	out, errs, code := neap(t, "plan", "--aws-json", "testdata/aws-json")
	if code != 0 {
		t.Fatalf("code %d: %s", code, errs)
	}
	if !strings.Contains(errs, "prices.json is missing: prices of us-east-1 are used") {
		t.Errorf("what was made up is not said: %s", errs)
	}
	const golden = "testdata/plan.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("the table changed; read it, then run with -update\ngot:\n%s\nwant:\n%s", out, want)
	}
}

func TestPlanSavesAndPlansAgain(t *testing.T) {
	dir := t.TempDir()
	snap, pol := filepath.Join(dir, "snap.json"), filepath.Join(dir, "policy.yaml")
	first, errs, code := neap(t, "plan", "--aws-json", "testdata/aws-json", "--save", snap, "--save-policy", pol, "-o", "json")
	if code != 0 {
		t.Fatal(errs)
	}
	again, errs, code := neap(t, "plan", "--snapshot", snap, "--policy", pol, "-o", "json")
	if code != 0 {
		t.Fatal(errs)
	}
	if id := planID(t, first); id != planID(t, again) || id == "" {
		t.Errorf("the same snapshot and policy made another plan:\n%s\n%s", first, again)
	}
}

func planID(t *testing.T, document string) string {
	t.Helper()
	var d struct {
		Plan  struct{ ID string }
		Words []string
	}
	if err := json.Unmarshal([]byte(document), &d); err != nil || len(d.Words) == 0 {
		t.Fatalf("%v: %s", err, document)
	}
	return d.Plan.ID
}

func TestVersion(t *testing.T) {
	out, _, code := neap(t, "version", "-o", "json")
	var v struct{ Version, Revision string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version == "" {
		t.Errorf("code %d, %v: %s", code, err, out)
	}
}
