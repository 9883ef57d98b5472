package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/cache/cachetest"
	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// Pace of the tests.
const (
	speed = 40.0             // seconds of the world in one of ours: minutes of boots and drains become seconds
	beat  = 15 * time.Second // of the world's time: what production has by default

	pollEvery  = 50 * time.Millisecond // two seconds of the world
	patience   = 90 * time.Second      // for anything to come true, leases of the dead included, on a busy machine
	stopWithin = 10 * time.Second      // from SIGTERM to the end; platforms give 30
	reportTime = 10 * time.Second      // kept free at the end of the test's time to say what was wrong
)

// cluster is the ECS cluster of every test.
const cluster fleet.ClusterName = "web"

// queue is the SQS queue that the simulated AWS fills with its events.
const queue = "neap-events"

// account is the AWS account that is simulated.
const account = "123456789012"

// system is a whole installation and the world it works in.
type system struct {
	t       *testing.T
	nats    string // URL
	env     []string
	aws     *process
	awsURL  string
	bus     *bus.Bus
	running map[string]*process // by name, such as planner-2

	traps   traps
	planned map[string]int // instances that plans wanted, by the action that launches them
}

// start brings up everything but the services, and makes the world that the script tells of.
func start(t *testing.T, script string) *system {
	t.Helper()
	s := &system{t: t, nats: bustest.Bare(t), running: map[string]*process{}, planned: map[string]int{}}
	redis := cachetest.StartRedis(t)
	s.aws = launch(t, "aws", "neap", bare(), "aws", "--listen", "127.0.0.1:0", "--speed", fmt.Sprint(speed), "--event-queue", queue)
	s.awsURL = s.greeting()
	s.env = bare(
		"NATS_URL="+s.nats, "REDIS_URL="+redis,
		"AWS_ENDPOINT_URL="+s.awsURL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any",
		"EVENT_QUEUE_URL="+s.awsURL+"/"+account+"/"+queue,
		"BEAT="+scaled(beat).String(), "EXECUTOR_TICK="+scaled(time.Second).String(),
		"EXECUTOR_STALE_AFTER=3s", // of ours: what a killed executor had in hand is soon taken over
		"LOG_FORMAT=text", "HEALTH_ADDR=",
	)
	s.must("bootstrap")
	s.bus = bustest.Connect(t, bus.Config{URL: s.nats})
	s.watch()
	s.script(script)
	return s
}

// scaled is how long a time of the world takes here.
func scaled(of time.Duration) time.Duration {
	return max(time.Duration(float64(of)/speed), 25*time.Millisecond)
}

var greetingPattern = regexp.MustCompile(`AWS_ENDPOINT_URL=(\S+)`)

// greeting waits until the simulated AWS serves, and returns its address as it prints it.
func (s *system) greeting() string {
	s.t.Helper()
	var found []string
	poll(s.t, patience, func() bool {
		found = greetingPattern.FindStringSubmatch(s.aws.output())
		return found != nil || !s.aws.running()
	}, s.aws.tail)
	if found == nil {
		s.t.Fatalf("neap aws did not come up:\n%s", s.aws.tail())
	}
	return found[1]
}

// up starts so many replicas of each service.
func (s *system) up(replicas int, env ...string) {
	s.t.Helper()
	for n := range replicas {
		for _, name := range services {
			s.start(name, n+1, env...)
		}
	}
}

// start starts a replica of a service.
func (s *system) start(service string, replica int, env ...string) *process {
	s.t.Helper()
	name := service + "-" + strconv.Itoa(replica)
	p := launch(s.t, name, service, append(s.env[:len(s.env):len(s.env)], env...))
	s.running[name] = p
	return p
}

// policy is the policy of the tests, as far as a test does not change it: hurried, so that
// a test need not wait, and with instances that hold exactly four tasks of 512 CPU units.
func policy(change func(*fleet.Policy)) fleet.Policy {
	off := false
	p := fleet.Policy{
		APIVersion: fleet.PolicyAPIVersion, Cluster: cluster, DryRun: &off,
		Limits:   fleet.Limits{MaxInstances: 30},
		Headroom: fleet.Headroom{Units: []fleet.HeadroomUnit{{CPUUnits: 512, MemoryMiB: 1024, Count: 2}}},
		ScaleDown: fleet.ScaleDown{
			MaxPercentage: 40, StableFor: fleet.Duration(30 * time.Second), Cooldown: fleet.Duration(30 * time.Second), MinLifetime: fleet.Duration(time.Minute),
		},
		Drain: fleet.DrainPolicy{Timeout: fleet.Duration(10 * time.Minute)},
		LaunchSpecs: []fleet.LaunchSpec{{
			Name: "default", Images: []string{"/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"},
			Subnets:         []fleet.SubnetID{"subnet-000000000000000a0", "subnet-000000000000000a1", "subnet-000000000000000a2"},
			SecurityGroups:  []string{"sg-0123456789abcdef0"},
			InstanceProfile: "ecsInstanceRole",
			Types:           fleet.TypeFilter{Allow: []string{"m7i.large"}},
		}},
	}
	if change != nil {
		change(&p)
	}
	return p
}

// apply writes a policy to a file and applies it as a person would.
func (s *system) apply(p fleet.Policy) {
	s.t.Helper()
	document, err := policyfile.Write(&p)
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("policy", "apply", s.file("policy.yaml", string(document)))
}

// file writes a file and returns its name.
func (s *system) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// must runs a command of neap that has to succeed.
func (s *system) must(args ...string) string {
	s.t.Helper()
	out, errOut, status := run(s.t, "neap", s.cli(), args...)
	if status != 0 {
		s.t.Fatalf("neap %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errOut)
	}
	return out
}

// cli is the environment of the person who types.
func (s *system) cli() []string { return bare("NATS_URL=" + s.nats) }

// script changes the world. Statements about a service are about the cluster of the tests.
func (s *system) script(text string) {
	s.t.Helper()
	answer, err := http.Post(s.awsURL+"/_neap/script", "text/plain", strings.NewReader(text))
	if err != nil {
		s.t.Fatalf("script: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(answer.Body)
		s.t.Fatalf("script: %s: %s\n%s", answer.Status, why, text)
	}
}

// truth is the true state of the world. It is also checked for what must never be.
func (s *system) truth() *sim.Truth {
	s.t.Helper()
	answer, err := http.Get(s.awsURL + "/_neap/state")
	if err != nil {
		s.t.Fatalf("state: %v\n%s", err, s.aws.tail())
	}
	defer func() { _ = answer.Body.Close() }()
	truth := &sim.Truth{}
	if err := json.NewDecoder(answer.Body).Decode(truth); err != nil {
		s.t.Fatalf("state: %v", err)
	}
	if harm := harm(truth); len(harm) > 0 {
		s.t.Fatalf("this must never happen:\n%s\n%s", strings.Join(harm, "\n"), s.report(truth))
	}
	return truth
}

// condition is something about the world that is to come true: what lacks to it, in words,
// or nothing.
type condition func(*sim.Truth) string

// until waits until all conditions hold at once.
func (s *system) until(what string, conditions ...condition) *sim.Truth {
	s.t.Helper()
	var truth *sim.Truth
	var lacks []string
	began := time.Now()
	poll(s.t, patience, func() bool {
		truth, lacks = s.truth(), nil
		for _, c := range conditions {
			if lack := c(truth); lack != "" {
				lacks = append(lacks, lack)
			}
		}
		return len(lacks) == 0
	}, func() string {
		return fmt.Sprintf("waited %s in vain until %s: %s\n%s", time.Since(began).Round(time.Second), what, strings.Join(lacks, "; "), s.report(truth))
	})
	s.t.Logf("%s (%s, world %s)", what, time.Since(began).Round(100*time.Millisecond), truth.Now.Format("15:04:05"))
	return truth
}

// throughout checks for a time of the world that conditions hold at every look.
func (s *system) throughout(of time.Duration, what string, conditions ...condition) {
	s.t.Helper()
	end := s.truth().Now.Add(of)
	s.until(what, func(truth *sim.Truth) string {
		for _, c := range conditions {
			if lack := c(truth); lack != "" {
				s.t.Fatalf("it did not hold for %s that %s: %s\n%s", of, what, lack, s.report(truth))
			}
		}
		if truth.Now.Before(end) {
			return "it is not over yet"
		}
		return ""
	})
}

// says waits until the log of a process contains words.
func (s *system) says(p *process, words string) {
	s.t.Helper()
	poll(s.t, patience, func() bool { return strings.Contains(p.output(), words) }, func() string {
		return fmt.Sprintf("%s never said %q:\n%s", p.name, words, p.tail())
	})
}

// report is what to read when a test has failed.
func (s *system) report(truth *sim.Truth) string {
	var b strings.Builder
	b.WriteString(story(truth))
	b.WriteString(s.decisions())
	for _, name := range sorted(s.running) {
		b.WriteString(s.running[name].tail())
	}
	b.WriteString(s.aws.tail())
	return b.String()
}

// lastPlan is the last plan of the cluster's chain, as neap status shows it.
func (s *system) lastPlan() fleet.Plan {
	s.t.Helper()
	clusters, err := s.status()
	if err != nil || len(clusters) != 1 {
		s.t.Fatalf("neap status: %d clusters, %v", len(clusters), err)
	}
	return clusters[0].LastPlan
}

// clusterStatus is what neap status shows of a cluster.
type clusterStatus struct {
	Cluster     fleet.ClusterName
	SnapshotAge string
	Problem     string
	LastPlan    fleet.Plan
}

func (s *system) status() ([]clusterStatus, error) {
	out, errOut, _ := run(s.t, "neap", s.cli(), "status", "-o", "json")
	var status struct{ Clusters []clusterStatus }
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return nil, fmt.Errorf("%w: %s%s", err, out, errOut)
	}
	return status.Clusters, nil
}

// decisions is what neap status tells of the last plan of each cluster.
func (s *system) decisions() string {
	clusters, err := s.status()
	if err != nil {
		return fmt.Sprintf("--- neap status: %v\n", err)
	}
	var b strings.Builder
	for i := range clusters {
		c := &clusters[i]
		p := &c.LastPlan
		fmt.Fprintf(&b, "--- neap status: cluster %s, snapshot %s old, problem %q, plan %s made at %s\n", c.Cluster, c.SnapshotAge, c.Problem, p.ID.Short(), p.MadeAt.Format("15:04:05"))
		fmt.Fprintf(&b, "%+v\n", p.Summary)
		for i := range p.Actions {
			target, _ := p.Actions[i].Target()
			fmt.Fprintf(&b, "  %s %s %s: %s\n", p.Actions[i].Kind, p.Actions[i].ID.Short(), target, p.Actions[i].Reason)
		}
		for _, closed := range p.Closures {
			fmt.Fprintf(&b, "  close %s %s: %s\n", closed.Action.Short(), closed.Verdict, closed.Evidence)
		}
		for _, why := range p.Reasons {
			fmt.Fprintf(&b, "  not %s: %s\n", why.Subject, why)
		}
	}
	return b.String()
}
