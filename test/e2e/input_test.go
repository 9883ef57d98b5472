package e2e_test

import (
	"net"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/test/harness"
)

// TestSettings starts services with settings that cannot work: each ends with status 2 and
// one line that names the variable and says what to do.
func TestSettings(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	tests := map[string]struct {
		services []string
		setting  string
		remedy   string
	}{
		"NATS of another kind": {harness.Services, "NATS_URL=http://nats:4222", "nats://127.0.0.1:4222"},
		"log format unknown":   {harness.Services, "LOG_FORMAT=xml", "json or text"},
		"level unknown":        {harness.Services, "LOG_LEVEL=loud", "debug, info, warn or error"},
		"address taken":        {harness.Services, "HEALTH_ADDR=" + taken.Addr().String(), "free address"},
		"hostile cluster":      {harness.Services, "NEAP_CLUSTERS=web,a.>", "names of ECS clusters"},
		"value in no file":     {harness.Services, "NATS_URL_FILE=/nowhere/nats", "mount the file"},
		"beat without a unit":  {[]string{"watcher", "planner"}, "BEAT=15", "30s"},
		"no beat":              {[]string{"watcher", "planner"}, "BEAT=0s", "15s"},
		"password in a URL":    {[]string{"watcher", "planner"}, "REDIS_URL=redis://:open@redis:6379", "REDIS_PASSWORD_FILE"},
		"share of too much":    {[]string{"watcher"}, "AWS_API_SHARE=2", "0.25"},
		"queue without a host": {[]string{"watcher"}, "EVENT_QUEUE_URL=neap", "https://sqs."},
		"nobody's instances":   {[]string{"watcher", "actuator", "drainer"}, "NEAP_INSTALLATION=", "neap"},
		"tick of nothing":      {[]string{"actuator", "drainer"}, "EXECUTOR_TICK=", "30s"},
		"nobody at work":       {[]string{"actuator", "drainer"}, "EXECUTOR_CONCURRENCY=0", "from 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			variable, _, _ := strings.Cut(test.setting, "=")
			for _, service := range test.services {
				env := harness.Bare("NATS_CONNECT_TIMEOUT=100ms", "HEALTH_ADDR=")
				_, errOut, status := harness.Run(t, service, append(env, test.setting))
				if status != 2 || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, variable) || !strings.Contains(errOut, test.remedy) {
					t.Errorf("%s with %s: exit status %d and %q; want 2 and one line with %s and %q", service, test.setting, status, errOut, variable, test.remedy)
				}
				if strings.Contains(errOut, "open@") {
					t.Errorf("%s shows a password: %s", service, errOut)
				}
			}
		})
	}
}

// TestMissing starts services without what they need from outside.
func TestMissing(t *testing.T) {
	t.Parallel()
	ready, bareNATS := bustest.Start(t), bustest.Bare(t)
	aws := []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any"}
	callers := []string{"watcher", "actuator", "drainer"} // of AWS
	tests := map[string]struct {
		services []string
		env      []string
		status   int
		says     []string
	}{
		"no NATS":        {harness.Services, append(aws, "NATS_URL=nats://127.0.0.1:1"), 1, []string{"nats://127.0.0.1:1", "NATS_URL", "start a nats-server"}},
		"no streams":     {harness.Services, append(aws, "NATS_URL="+bareNATS), 1, []string{"neap bootstrap"}},
		"no region":      {callers, []string{"NATS_URL=" + ready, "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any"}, 2, []string{"AWS_REGION", "us-east-1"}},
		"no credentials": {callers, []string{"NATS_URL=" + ready, "AWS_REGION=us-east-1"}, 1, []string{"AWS_ACCESS_KEY_ID", "IAM role"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, service := range test.services {
				env := harness.Bare("NATS_CONNECT_TIMEOUT=200ms", "HEALTH_ADDR=", "LOG_FORMAT=text", "AWS_EC2_METADATA_DISABLED=true")
				_, errOut, status := harness.Run(t, service, append(env, test.env...))
				if status != test.status {
					t.Errorf("%s: exit status %d, want %d:\n%s", service, status, test.status, errOut)
				}
				for _, words := range test.says {
					if !strings.Contains(errOut, words) {
						t.Errorf("%s does not say %q:\n%s", service, words, errOut)
					}
				}
			}
		})
	}
}

// TestCommands gives commands what they cannot do.
func TestCommands(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	tests := map[string]struct {
		args   []string
		status int
		says   string
	}{
		"port in use":         {[]string{"aws", "--listen", taken.Addr().String()}, 2, "choose another port"},
		"no such script":      {[]string{"aws", "--script", "nowhere.txt"}, 2, "nowhere.txt"},
		"no NATS":             {[]string{"status", "--nats-url", "nats://127.0.0.1:1"}, 1, "start a nats-server"},
		"no such command":     {[]string{"launch"}, 2, "neap --help"},
		"no such policy":      {[]string{"policy", "apply", "nowhere.yaml"}, 2, "nowhere.yaml"},
		"pause of nothing":    {[]string{"pause", "--why", "a test"}, 2, "--cluster"},
		"pause for no reason": {[]string{"pause", "--all"}, 2, "--why"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, errOut, status := harness.Run(t, "neap", harness.Bare(), test.args...)
			if status != test.status || !strings.Contains(errOut, test.says) || strings.Contains(out+errOut, "goroutine") {
				t.Errorf("neap %s: exit status %d, want %d and %q:\n%s%s", strings.Join(test.args, " "), status, test.status, test.says, out, errOut)
			}
		})
	}
}

// TestUnknownCluster watches a cluster that is not there beside one that is: the services
// say so and go on, and take the cluster in hand when somebody creates it.
func TestUnknownCluster(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1, "NEAP_CLUSTERS=ghost,"+string(harness.Cluster))
	watcher := s.Running["watcher-1"]
	s.Says(watcher, "nothing to watch: correct NEAP_CLUSTERS")
	s.Until("the other cluster is served", append(s.quiet(), harness.Instances(neededSmall))...)
	s.allUp()
	s.Script("cluster ghost")
	s.Says(watcher, "the cluster is there now")
	s.Audit()
}

// TestBadPolicy applies policies that make no sense: each is refused with its place and a
// remedy, and the one in force stays.
func TestBadPolicy(t *testing.T) {
	t.Parallel()
	s := start(t, smallWorld)
	s.Apply(harness.Policy(nil))
	s.Up(1)
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)
	good := s.Must("policy", "get", "--cluster", string(harness.Cluster))

	tests := map[string]struct {
		spoil func(string) string
		says  string
	}{
		"unknown key":     {replace("maxInstances: 30", "maxInstance: 30"), `did you mean "maxInstances"`},
		"no limit":        {replace("maxInstances: 30", "maxInstances: 0"), "limits.maxInstances"},
		"another cluster": {replace("cluster: web", "cluster: db"), "db"},
		"no YAML":         {func(string) string { return "limits: [" }, "policy.yaml"},
		"nothing":         {func(string) string { return "" }, "policy.yaml"},
	}
	for _, name := range harness.Sorted(tests) {
		test := tests[name]
		file := s.File("policy.yaml", test.spoil(good))
		out, errOut, status := harness.Run(t, "neap", s.CLI(), "policy", "apply", "--cluster", string(harness.Cluster), file)
		if status != 2 || !strings.Contains(errOut, test.says) {
			t.Errorf("%s: exit status %d, want 2 and %q:\n%s%s", name, status, test.says, out, errOut)
		}
	}
	if got := s.Must("policy", "get", "--cluster", string(harness.Cluster)); got != good {
		t.Errorf("the policy in force has changed to\n%s", got)
	}
	s.Script(grow)
	s.grown()
	s.Audit()
}

func replace(this, by string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, this, by) }
}
