package harness

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// Pace of the tests.
const (
	Speed = 40.0             // seconds of the world in one of ours: minutes of boots and drains become seconds
	Beat  = 15 * time.Second // of the world's time: what production has by default

	pollEvery  = 50 * time.Millisecond // two seconds of the world
	Patience   = 90 * time.Second      // for anything to come true, leases of the dead included, on a busy machine
	stopWithin = 10 * time.Second      // from SIGTERM to the end; platforms give 30
	reportTime = 10 * time.Second      // kept free at the end of the test's time to say what was wrong
)

// Cluster is the ECS cluster of every test.
const Cluster fleet.ClusterName = "web"

// Queue is the SQS queue that the simulated AWS fills with its events.
const Queue = "neap-events"

// Account is the AWS account that is simulated.
const Account = "123456789012"

// System is a whole installation and the world it works in.
type System struct {
	T       *testing.T
	NATS    string   // URL, as the test and the person who types see it
	Env     []string // of the services
	AWS     *Process
	AWSURL  string
	Bus     *bus.Bus
	Running map[string]*Process // by name, such as planner-2

	ground  Ground
	traps   traps
	planned map[string]int // instances that plans wanted, by the action that launches them
}

// Ground is what an installation stands on.
type Ground struct {
	NATS     string // URLs, comma separated
	Redis    string // URL
	Replicas int    // servers of NATS that keep each message

	access string // folder of neap access create; empty lets everybody do everything
}

// Start brings up everything but the services on a ground of its own, and makes the world
// that the script tells of.
func Start(t *testing.T, script string) *System {
	t.Helper()
	return StartOn(t, script, guarded(t))
}

// StartOn is Start on a ground that is there already.
func StartOn(t *testing.T, script string, on Ground) *System {
	t.Helper()
	s := &System{T: t, NATS: on.NATS, ground: on, Running: map[string]*Process{}, planned: map[string]int{}}
	s.AWS = Launch(t, "aws", "neap", Bare(), "aws", "--listen", "127.0.0.1:0", "--speed", fmt.Sprint(Speed), "--event-queue", Queue)
	s.AWSURL = s.greeting()
	s.Env = Bare(
		"AWS_ENDPOINT_URL="+s.AWSURL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY="+awsSecret,
		"EVENT_QUEUE_URL="+s.AWSURL+"/"+Account+"/"+Queue,
		"BEAT="+Scaled(Beat).String(), "EXECUTOR_TICK="+Scaled(time.Second).String(),
		"EXECUTOR_STALE_AFTER=3s", // of ours: what a killed executor had in hand is soon taken over
		"LOG_FORMAT=text", "HEALTH_ADDR=",
	)
	s.Must("bootstrap", "--replicas", strconv.Itoa(on.Replicas))
	s.Bus = bustest.Connect(t, bus.Config{URL: s.NATS})
	s.watch()
	s.Script(script)
	return s
}

// Scaled is how long a time of the world takes here.
func Scaled(of time.Duration) time.Duration {
	return max(time.Duration(float64(of)/Speed), 25*time.Millisecond)
}

var greetingPattern = regexp.MustCompile(`AWS_ENDPOINT_URL=(\S+)`)

// greeting waits until the simulated AWS serves, and returns its address as it prints it.
func (s *System) greeting() string {
	s.T.Helper()
	var found []string
	Poll(s.T, Patience, func() bool {
		found = greetingPattern.FindStringSubmatch(s.AWS.Output())
		return found != nil || !s.AWS.Running()
	}, s.AWS.Tail)
	if found == nil {
		s.T.Fatalf("neap aws did not come up:\n%s", s.AWS.Tail())
	}
	return found[1]
}

// Up starts so many replicas of each service.
func (s *System) Up(replicas int, env ...string) {
	s.T.Helper()
	for n := range replicas {
		for _, name := range Services {
			s.Start(name, n+1, env...)
		}
	}
}

// Start starts a replica of a service.
func (s *System) Start(service string, replica int, env ...string) *Process {
	s.T.Helper()
	name := service + "-" + strconv.Itoa(replica)
	p := Launch(s.T, name, service, slices.Concat(s.Env, s.ground.as(service), env))
	s.Running[name] = p
	return p
}

// Policy is the policy of the tests, as far as a test does not change it: hurried, so that
// a test need not wait, and with instances that hold exactly four tasks of 512 CPU units.
func Policy(change func(*fleet.Policy)) fleet.Policy {
	off := false
	p := fleet.Policy{
		APIVersion: fleet.PolicyAPIVersion, Cluster: Cluster, DryRun: &off,
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

// Apply writes a policy to a file and applies it as a person would.
func (s *System) Apply(p fleet.Policy) {
	s.T.Helper()
	document, err := policyfile.Write(&p)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Must("policy", "apply", s.File("policy.yaml", string(document)))
}

// File writes a file and returns its name.
func (s *System) File(name, text string) string {
	s.T.Helper()
	path := filepath.Join(s.T.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.T.Fatal(err)
	}
	return path
}

// Must runs a command of neap that has to succeed.
func (s *System) Must(args ...string) string {
	s.T.Helper()
	env := s.CLI()
	if args[0] == bus.UserBootstrap {
		env = Bare(s.ground.as(bus.UserBootstrap)...)
	}
	out, errOut, status := Run(s.T, "neap", env, args...)
	if status != 0 {
		s.T.Fatalf("neap %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errOut)
	}
	return out
}

// CLI is the environment of the person who types.
func (s *System) CLI() []string { return Bare(s.ground.as(bus.UserOperator)...) }

// Script changes the world. Statements about a service are about the cluster of the tests.
func (s *System) Script(text string) {
	s.T.Helper()
	answer, err := http.Post(s.AWSURL+"/_neap/script", "text/plain", strings.NewReader(text))
	if err != nil {
		s.T.Fatalf("script: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(answer.Body)
		s.T.Fatalf("script: %s: %s\n%s", answer.Status, why, text)
	}
}

// Truth is the true state of the world. It is also checked for what must never be.
func (s *System) Truth() *sim.Truth {
	s.T.Helper()
	answer, err := http.Get(s.AWSURL + "/_neap/state")
	if err != nil {
		s.T.Fatalf("state: %v\n%s", err, s.AWS.Tail())
	}
	defer func() { _ = answer.Body.Close() }()
	truth := &sim.Truth{}
	if err := json.NewDecoder(answer.Body).Decode(truth); err != nil {
		s.T.Fatalf("state: %v", err)
	}
	if harm := harm(truth); len(harm) > 0 {
		s.T.Fatalf("this must never happen:\n%s\n%s", strings.Join(harm, "\n"), s.Report(truth))
	}
	return truth
}

// Condition is something about the world that is to come true: what lacks to it, in words,
// or nothing.
type Condition func(*sim.Truth) string

// Until waits until all conditions hold at once.
func (s *System) Until(what string, conditions ...Condition) *sim.Truth {
	s.T.Helper()
	var truth *sim.Truth
	var lacks []string
	began := time.Now()
	Poll(s.T, Patience, func() bool {
		truth, lacks = s.Truth(), nil
		for _, c := range conditions {
			if lack := c(truth); lack != "" {
				lacks = append(lacks, lack)
			}
		}
		return len(lacks) == 0
	}, func() string {
		return fmt.Sprintf("waited %s in vain until %s: %s\n%s", time.Since(began).Round(time.Second), what, strings.Join(lacks, "; "), s.Report(truth))
	})
	s.T.Logf("%s (%s, world %s)", what, time.Since(began).Round(100*time.Millisecond), truth.Now.Format("15:04:05"))
	return truth
}

// Throughout checks for a time of the world that conditions hold at every look.
func (s *System) Throughout(of time.Duration, what string, conditions ...Condition) {
	s.T.Helper()
	end := s.Truth().Now.Add(of)
	s.Until(what, func(truth *sim.Truth) string {
		for _, c := range conditions {
			if lack := c(truth); lack != "" {
				s.T.Fatalf("it did not hold for %s that %s: %s\n%s", of, what, lack, s.Report(truth))
			}
		}
		if truth.Now.Before(end) {
			return "it is not over yet"
		}
		return ""
	})
}

// Says waits until the log of a process contains words.
func (s *System) Says(p *Process, words string) {
	s.T.Helper()
	Poll(s.T, Patience, func() bool { return strings.Contains(p.Output(), words) }, func() string {
		return fmt.Sprintf("%s never said %q:\n%s", p.Name, words, p.Tail())
	})
}

// Report is what to read when a test has failed.
func (s *System) Report(truth *sim.Truth) string {
	var b strings.Builder
	b.WriteString(story(truth))
	b.WriteString(s.Decisions())
	for _, name := range Sorted(s.Running) {
		b.WriteString(s.Running[name].Tail())
	}
	b.WriteString(s.AWS.Tail())
	return b.String()
}

// LastPlan is the last plan of the cluster's chain, as neap status shows it.
func (s *System) LastPlan() fleet.Plan {
	s.T.Helper()
	clusters, err := s.Status()
	if err != nil || len(clusters) != 1 {
		s.T.Fatalf("neap status: %d clusters, %v", len(clusters), err)
	}
	return clusters[0].LastPlan
}

// ClusterStatus is what neap status shows of a cluster.
type ClusterStatus struct {
	Cluster     fleet.ClusterName
	SnapshotAge string
	Problem     string
	LastPlan    fleet.Plan
}

// Status is what neap status shows of each cluster.
func (s *System) Status() ([]ClusterStatus, error) {
	out, errOut, _ := Run(s.T, "neap", s.CLI(), "status", "-o", "json")
	var status struct{ Clusters []ClusterStatus }
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return nil, fmt.Errorf("%w: %s%s", err, out, errOut)
	}
	return status.Clusters, nil
}

// Decisions is what neap status tells of the last plan of each cluster.
func (s *System) Decisions() string {
	clusters, err := s.Status()
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
