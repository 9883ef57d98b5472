package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// printed is output that a test reads while a command runs.
type printed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// start runs a command until the test ends and returns what it prints.
func start(t *testing.T, args ...string) *printed {
	t.Helper()
	out := &printed{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, console{out: out, err: out, in: strings.NewReader("")}) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Errorf("%v did not stop:\n%s", args, out)
		}
	})
	return out
}

// within waits until a condition holds.
func within(t *testing.T, d time.Duration, what string, out *printed, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s\n%s", what, d, out)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// address waits for an address in the output of a command.
func address(t *testing.T, out *printed, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	within(t, 20*time.Second, pattern, out, func() bool { return re.MatchString(out.String()) })
	return re.FindString(out.String())
}

// TestUp: one process serves a cluster of the simulated AWS, and can be watched, paused and
// resumed from outside.
func TestUp(t *testing.T) {
	for _, name := range []string{"NATS_URL", "REDIS_URL", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "any")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "any")
	t.Setenv("HEALTH_ADDR", "127.0.0.1:0")
	t.Setenv("STANDING", "1s")

	cloud := start(t, "aws", "--listen", "127.0.0.1:0", "--speed", "30")
	base := address(t, cloud, `http://127\.0\.0\.1:[0-9]+`)
	post(t, base+"/_neap/script", "cluster web\ntask web cpu 512 memory 1024\nservice web task web desired 6\n")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	document := `
cluster: web
dryRun: false
limits: {maxInstances: 10}
launchSpecs:
- name: default
  images: [/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id]
  subnets: [subnet-000000000000000a0, subnet-000000000000000a1]
`
	if err := os.WriteFile(policy, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	up := start(t, "up", "--data-dir", t.TempDir(), "--nats-listen", "127.0.0.1:0", "--policy", policy,
		"--aws-endpoint", base, "--region", "us-east-1", "--beat", "200ms", "--tick", "50ms")
	nats := address(t, up, `nats://127\.0\.0\.1:[0-9]+`)
	redis := address(t, up, `redis://127\.0\.0\.1:[0-9]+`)
	within(t, time.Minute, "all tasks run", up, func() bool { return running(t, base) == 6 })

	var got status
	out, errs, code := neap(t, "status", "--nats-url", nats, "-o", "json")
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || len(got.Processes) != 4 || len(got.Clusters) != 1 || got.Clusters[0].LastPlan == nil {
		t.Fatalf("code %d, %v: %s%s", code, err, out, errs)
	}
	if st := got.Clusters[0].Standing; st != nil {
		t.Errorf("a standing without a Redis to have it from: %+v", st)
	}
	wantStanding(t, nats, redis, up)
	if out, errs, code := neap(t, "pause", "--nats-url", nats, "--cluster", "web", "--why", "test"); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	if out, _, _ := neap(t, "status", "--nats-url", nats); !strings.Contains(out, "paused by") {
		t.Errorf("the pause is not shown:\n%s", out)
	}
	post(t, base+"/_neap/script", "cluster web\nservice web desired 40\n")
	launched := truth(t, base).History.InstancesLaunched
	before := truth(t, base).Now
	within(t, time.Minute, "ten minutes pass", up, func() bool { return truth(t, base).Now.Sub(before) > 10*time.Minute })
	if now := truth(t, base).History.InstancesLaunched; now != launched {
		t.Errorf("%d instances were launched while paused", now-launched)
	}
	if out, errs, code := neap(t, "resume", "--nats-url", nats, "--cluster", "web", "--why", "test is over"); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	within(t, time.Minute, "all tasks run after resuming", up, func() bool { return running(t, base) == 40 })

	protectOne(t, nats)
	if source, _, code := neap(t, "policy", "get", "--nats-url", nats, "--cluster", "web"); code != 0 || source != document {
		t.Errorf("the policy came back otherwise than it was written:\n%s", source)
	}
	bad := strings.Replace(document, "maxInstances: 10", "maxInstances: 0", 1)
	if _, errs, code := neapWith(t.Context(), bad, "policy", "apply", "--nats-url", nats, "-"); code != exitInput || !strings.Contains(errs, "limits.maxInstances: 0") {
		t.Errorf("code %d: %s", code, errs)
	}
	if source, _, _ := neap(t, "policy", "get", "--nats-url", nats, "--cluster", "web"); source != document {
		t.Errorf("a bad policy replaced the good one:\n%s", source)
	}
	if _, errs, code := neap(t, "plan", "--cluster", "nope", "--aws-endpoint", base, "--region", "us-east-1"); code != exitFailed || !strings.Contains(errs, "there is no such cluster") {
		t.Errorf("code %d: %s", code, errs)
	}
	if out, errs, code := neap(t, "plan", "--cluster", "web", "--policy", policy, "--aws-endpoint", base, "--region", "us-east-1"); code != 0 || !strings.Contains(out, "Every service has the tasks it wants") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
}

// wantStanding: the status says what the cluster costs beside the least it could cost.
func wantStanding(t *testing.T, nats, redis string, up *printed) {
	t.Helper()
	var st *fleet.Standing
	within(t, 30*time.Second, "the status says what the tasks cost at least", up, func() bool {
		var got status
		out, errs, code := neap(t, "status", "--nats-url", nats, "--redis-url", redis, "-o", "json")
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("code %d, %v: %s%s", code, err, out, errs)
		}
		st = got.Clusters[0].Standing
		return st != nil && st.Tasks == 6 && got.Clusters[0].Ratio == st.Ratio()
	})
	if st.Bound <= 0 || st.Bound > st.Cost || st.Bound > st.Anew {
		t.Errorf("%+v: the bound is none", st)
	}
	out, _, _ := neap(t, "status", "--nats-url", nats, "--redis-url", redis)
	if want := "no cluster for its 6 tasks costs less than " + st.Bound.String(); !strings.Contains(out, want) {
		t.Errorf("the table does not say %q:\n%s", want, out)
	}
}

// protectOne protects an instance as a person would, sees it wherever it is to be seen, and
// lets it go.
func protectOne(t *testing.T, nats string) {
	t.Helper()
	for _, step := range []struct {
		args []string
		says string
	}{
		{[]string{"protect"}, "No instance of cluster web is protected."},
		{[]string{"protect", "i-0000000000000beef", "--for", "2h", "--why", "I look at it"}, "instance i-0000000000000beef of cluster web: protected ("},
		{[]string{"protect"}, "i-0000000000000beef  "},
		{[]string{"protect", "-o", "json"}, `"why": "I look at it"`},
		{[]string{"status"}, "protected: i-0000000000000beef: "},
		{[]string{"status", "-o", "json"}, `"until": "`},
		{[]string{"unprotect", "i-0000000000000beef"}, "no longer protected"},
		{[]string{"unprotect", "i-0000000000000beef", "-o", "json"}, `"wasProtected": false`},
		{[]string{"protect", "-o", "json"}, "[]"},
	} {
		out, errs, code := neap(t, append(step.args, "--nats-url", nats)...)
		if code != 0 || !strings.Contains(out, step.says) {
			t.Errorf("neap %s: code %d: %s%swant %q", strings.Join(step.args, " "), code, out, errs, step.says)
		}
		if foreign := strings.Contains(errs, "has no instance i-0000000000000beef"); foreign != (step.args[0] == "protect" && len(step.args) > 3) {
			t.Errorf("neap %s: it said %q", strings.Join(step.args, " "), errs)
		}
	}
	if _, errs, code := neap(t, "protect", "i-1.>", "--why", "x", "--nats-url", nats); code != exitInput || !strings.Contains(errs, "use an EC2 instance ID") {
		t.Errorf("a hostile ID: code %d: %s", code, errs)
	}
}

func post(t *testing.T, url, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, r)
}

func fetch(t *testing.T, r *http.Request) []byte {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %v %s", r.URL, resp.Status, err, b)
	}
	return b
}

func truth(t *testing.T, base string) sim.Truth {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/_neap/state", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	var got sim.Truth
	if err := json.Unmarshal(fetch(t, r), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func running(t *testing.T, base string) int {
	t.Helper()
	for _, c := range truth(t, base).Clusters {
		for _, s := range c.Services {
			return s.Running
		}
	}
	return 0
}
