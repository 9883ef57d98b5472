package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccessCreate: secrets are kept, the rest is written anew, and no secret is in a file that is
// for a server.
func TestAccessCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "access")
	create := func() map[string]string {
		t.Helper()
		out, errs, code := neap(t, "access", "create", "--dir", dir)
		if code != 0 || !strings.Contains(out, "users.acl") {
			t.Fatalf("code %d\n%s%s", code, out, errs)
		}
		files := map[string]string{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
			}
			files[e.Name()] = string(content)
		}
		return files
	}
	first := create()
	for name, content := range first {
		if secret := strings.HasSuffix(name, ".nk") || strings.HasSuffix(name, ".redis"); secret {
			if strings.Contains(first["nats.conf"], content) || strings.Contains(first["users.acl"], content) {
				t.Errorf("%s stands in the configuration of a server", name)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "nats.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, content := range create() {
		if content != first[name] {
			t.Errorf("%s is another", name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "planner.nk"), []byte("no seed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := neap(t, "access", "create", "--dir", dir); code == 0 || !strings.Contains(errs, "planner.nk") || !strings.Contains(errs, "delete it") || strings.Contains(errs, "no seed of an nkey: no seed") {
		t.Errorf("a damaged seed: code %d, %s", code, errs)
	}
}

// TestAccessPrint shows who may do what.
func TestAccessPrint(t *testing.T) {
	out, _, code := neap(t, "access", "print")
	for _, want := range []string{"planner    NATS   publish        neap.v1.1.plan.*", "planner    Redis  read and write  plan:*", "drainer    NATS   not publish    $JS.API.CONSUMER.DELETE.NEAP_1_PLAN.drainer"} {
		if code != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("code %d, does not say %q:\n%s", code, want, out)
		}
	}
	out, _, _ = neap(t, "access", "print", "-o", "json")
	var got struct{ NATS, Redis []struct{ User string } }
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.NATS) != 6 || len(got.Redis) != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}
