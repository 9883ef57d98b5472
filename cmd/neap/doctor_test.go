package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
)

// clinic is an installation without services: NATS, Redis and a simulated AWS.
type clinic struct {
	t                *testing.T
	nats, redis, aws string
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "any")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "any")
	cloud := start(t, "aws", "--listen", "127.0.0.1:0")
	c := &clinic{t: t, nats: bustest.Start(t), redis: cachetest.StartRedis(t), aws: address(t, cloud, `http://127\.0\.0\.1:[0-9]+`)}
	c.script("cluster web")
	if out, errs, code := neap(t, "policy", "apply", "--nats-url", c.nats, hastyPolicy(t)); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	return c
}

func (c *clinic) script(text string) {
	c.t.Helper()
	post(c.t, c.aws+"/_neap/script", text)
}

// doctor returns what the doctor finds, by check, and the exit code.
func (c *clinic) doctor(args ...string) (map[string]finding, int) {
	c.t.Helper()
	all := append([]string{"doctor", "-o", "json", "--nats-url", c.nats, "--redis-url", c.redis, "--aws-endpoint", c.aws, "--region", "us-east-1"}, args...)
	out, errs, code := neap(c.t, all...)
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.OK != (code == 0) {
		c.t.Fatalf("code %d, %v: %s%s", code, err, out, errs)
	}
	found := map[string]finding{}
	for _, one := range d.Checks {
		found[one.Check] = one
		if (one.Result == isOK) != (one.Remedy == "") {
			c.t.Errorf("%+v: what is not well has a remedy, what is well has none", one)
		}
	}
	return found, code
}

// want checks one finding and the exit code.
func (c *clinic) want(check string, result verdict, says, remedy string, args ...string) {
	c.t.Helper()
	found, code := c.doctor(args...)
	one := found[check]
	if one.Result != result || !strings.Contains(one.Says, says) || !strings.Contains(one.Remedy, remedy) {
		c.t.Errorf("%s: %+v; want %s, %q, %q\nof %+v", check, one, result, says, remedy, found)
	}
	if wantCode := map[verdict]int{isFailed: exitFailed}[result]; code != wantCode {
		c.t.Errorf("%s: exit code %d, want %d: %+v", check, code, wantCode, found)
	}
}

// TestDoctor: what is wrong is named with its remedy, one thing at a time; all the rest is well.
func TestDoctor(t *testing.T) {
	c := newClinic(t)
	c.want("permissions of the drainer on web", isOK, "operations are allowed", "")
	c.want("web: subnets and images", isOK, "all", "")
	c.want("planner", isWarn, "none answers", "start it")
	out, _, code := neap(t, "doctor", "--nats-url", c.nats, "--redis-url", c.redis, "--aws-endpoint", c.aws, "--region", "us-east-1")
	if code != 0 || !strings.Contains(out, "CHECK") || !strings.Contains(out, "Nothing fails.") || !strings.Contains(out, "assumed-role") && !strings.Contains(out, "arn:aws:") {
		t.Errorf("code %d:\n%s", code, out)
	}

	c.want("NATS", isFailed, "127.0.0.1:1", "--nats-url", "--nats-url", "nats://127.0.0.1:1", "--for", "none")
	c.want("NATS", isFailed, "neap-control", "neap bootstrap", "--nats-url", bustest.Bare(t), "--for", "none")
	c.want("NATS settings", isFailed, "NATS_URL", "correct", "--nats-url", "http://nats", "--for", "none")
	c.want("Redis", isFailed, "connection refused", "start Redis", "--redis-url", "redis://127.0.0.1:1", "--for", "none")
	c.want("Redis settings", isFailed, "REDIS_PASSWORD_FILE", "correct", "--redis-url", "redis://:open@redis:6379", "--for", "none")
	c.want("cluster nope", isFailed, "no such cluster", "correct the name", "--cluster", "nope")
	c.want("AWS", isFailed, "", "AWS_ENDPOINT_URL", "--aws-endpoint", "http://127.0.0.1:1")

	c.script("outage ecs:StopTask error AccessDeniedException")
	c.want("drainer may ecs:StopTask", isFailed, "access denied", "deploy/iam")
	c.want("permissions of the watcher on web", isOK, "all", "", "--for", "watcher")
	c.script("restore *\noutage ec2:CreateFleet error UnauthorizedOperation")
	c.want("actuator may ec2:CreateFleet", isFailed, "UnauthorizedOperation", "deploy/iam")
	c.script("restore *")
}

// TestDoctorPolicy: a policy that cannot be read, or that names what AWS does not have, fails
// before it is applied; a pause is told.
func TestDoctorPolicy(t *testing.T) {
	c := newClinic(t)
	good, err := os.ReadFile(hastyPolicy(t))
	if err != nil {
		t.Fatal(err)
	}
	file := func(old, with string) string {
		path := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(path, []byte(strings.Replace(string(good), old, with, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := file("maxInstances: 10", "maxInstances: 0")
	c.want("policy "+bad, isFailed, "limits.maxInstances: 0", "docs/policy.md", "--policy", bad)
	c.want("web: subnet-00000000000000bad", isFailed, "AWS has none", "launchSpecs", "--policy", file("subnet-000000000000000a1", "subnet-00000000000000bad"))
	if out, errs, code := neap(t, "pause", "--nats-url", c.nats, "--cluster", "web", "--why", "a test"); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
	c.want("web: pause", isWarn, "a test", "neap resume", "--for", "none")
}

// TestDoctorNATSUser: a user that the server does not know, and one that may do nothing.
func TestDoctorNATSUser(t *testing.T) {
	users := []*server.User{
		{Username: "neap", Password: "right"},
		{Username: "nobody", Password: "right", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{">"}}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Users: users})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not come up")
	}
	as := func(user, password string) string {
		u, err := url.Parse(s.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		return u.String()
	}
	if err := bus.Bootstrap(t.Context(), bus.Config{URL: as("neap", "right")}, bus.BootstrapOptions{MaxBytes: bustest.MaxBytes}); err != nil {
		t.Fatal(err)
	}
	c := &clinic{t: t, nats: as("neap", "wrong"), redis: cachetest.StartRedis(t)}
	c.want("NATS", isFailed, "refuses the credentials", "NATS_CREDS_FILE", "--for", "none")
	if found, _ := c.doctor("--for", "none"); strings.Contains(found["NATS"].Says, "wrong") {
		t.Errorf("it tells the password: %+v", found["NATS"])
	}
	c.nats = as("nobody", "right")
	c.want("NATS", isFailed, "ermissions", "check the user", "--for", "none")
	c.nats = as("neap", "right")
	c.want("streams", isOK, "generation 1", "", "--for", "none")
}
