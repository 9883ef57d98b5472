package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// run makes a world, plays a script and advances.
func run(t testing.TB, cfg Config, script string, d time.Duration) *World {
	t.Helper()
	w := must(New(cfg))(t)
	if err := must(ParseScript(script))(t).Run(w); err != nil {
		t.Fatal(err)
	}
	w.Advance(w.Now().Add(d))
	return w
}

// failsWith checks that an error is AWS's of that code.
func failsWith(t testing.TB, what string, err error, code string) {
	t.Helper()
	var known *Error
	if !errors.As(err, &known) || known.Code != code {
		t.Errorf("%s: error %v, want %s", what, err, code)
	}
}

const busy = `
cluster web
task web cpu 256 memory 512
task api cpu 512 memory 700 network awsvpc
task job cpu 100 memory 100 run-for 40s
task agent cpu 64 memory 64
service agent task agent daemon
service web task web desired 20
service api task api desired 6 subnet subnet-000000000000000a0 subnet subnet-000000000000000a1
launch m7i.large count 4
launch c7i.xlarge count 3 zone us-east-1b lifecycle spot
at 90s run job count 12
at 2m service web desired 40
at 3m task web cpu 300 memory 400
at 3m service web task web
at 4m interrupt spot
at 5m drain oldest
at 6m terminate oldest
at 6m disconnect oldest for 1m
at 7m service web desired 5
at 8m delete service api
`

func TestSameSeedSameHistory(t *testing.T) {
	history := func() []byte {
		w := run(t, Config{Seed: 42, EventQueues: []string{"events"}}, busy, 0)
		var b bytes.Buffer
		for range 12 {
			w.Advance(w.Now().Add(time.Minute))
			b.Write(must(json.Marshal(w.Truth()))(t))
			for _, name := range []string{"web", "api"} {
				out := must(w.DescribeServices(&DescribeServicesInput{Cluster: "web", Services: []string{name}}))(t)
				b.Write(must(json.Marshal(out))(t))
			}
			for {
				out := must(w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "events", MaxNumberOfMessages: 10}))(t)
				if len(out.Messages) == 0 {
					break
				}
				b.Write(must(json.Marshal(out))(t))
			}
		}
		if errs := w.ScriptErrors(); len(errs) > 0 {
			t.Fatal(errs)
		}
		return b.Bytes()
	}
	if a, b := history(), history(); !bytes.Equal(a, b) {
		t.Error("two runs of one seed differ")
	}
}

// TestInvariants lets chance call operations and checks after each what must always hold:
// an instance has left what it registered less its tasks, and counts agree.
func TestInvariants(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := run(t, Config{Seed: seed, Trunking: seed%2 == 0, Delays: Delays{StoppedTask: time.Minute, Linger: 2 * time.Minute}}, busy, 0)
		for step := range 300 {
			meddle(w, rng)
			w.Advance(w.Now().Add(time.Duration(rng.IntN(4000)) * time.Millisecond))
			if err := w.Check(); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
		}
		if err := checkHeld(w); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// meddle does one thing that may or may not make sense.
func meddle(w *World, rng *rand.Rand) {
	c := w.clusters["web"]
	var hosts []*containerInstance
	for h := range c.hostRoll.all {
		hosts = append(hosts, h)
	}
	var tasks []*task
	for t := range c.taskRoll.all {
		tasks = append(tasks, t)
	}
	host := func() string {
		if len(hosts) == 0 {
			return "none"
		}
		return hosts[rng.IntN(len(hosts))].id
	}
	switch rng.IntN(12) {
	case 0:
		_ = w.SetDesired("web", "web", rng.IntN(60))
	case 1:
		types := []fleet.TypeName{"m7i.large", "c7g.xlarge", "r7i.large", "t3.small"}
		_, _ = w.Launch(Fixture{Cluster: "web", Type: types[rng.IntN(len(types))], Count: 1 + rng.IntN(2), Lifecycle: fleet.Spot})
	case 2:
		_, _ = w.UpdateContainerInstancesState(&UpdateContainerInstancesStateInput{Cluster: "web", ContainerInstances: []string{host()}, Status: statusDraining})
	case 3:
		_, _ = w.UpdateContainerInstancesState(&UpdateContainerInstancesStateInput{Cluster: "web", ContainerInstances: []string{host()}, Status: statusActive})
	case 4:
		_, _ = w.DeregisterContainerInstance(&DeregisterContainerInstanceInput{Cluster: "web", ContainerInstance: host(), Force: rng.IntN(4) == 0})
	case 5, 6:
		if len(tasks) > 0 {
			_, _ = w.StopTask(&StopTaskInput{Cluster: "web", Task: tasks[rng.IntN(len(tasks))].id})
		}
	case 7:
		if len(hosts) > 0 && rng.IntN(3) == 0 {
			_, _ = w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: []string{hosts[rng.IntN(len(hosts))].machine.id}})
		}
	case 8:
		n := 1 + rng.IntN(10)
		_, _ = w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Count: &n})
	case 9:
		_, _ = w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: "web", ForceNewDeployment: true})
	case 10:
		if len(hosts) > 0 {
			_ = w.Disconnect(fleet.InstanceID(hosts[rng.IntN(len(hosts))].machine.id), 20*time.Second)
		}
	case 11:
		_, _ = w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "stack", Value: fmt.Sprint(rng.IntN(3)), TargetID: host()}}})
	}
}

// checkHeld checks that agents hold room for exactly the tasks they have taken.
func checkHeld(w *World) error {
	for h := range w.clusters["web"].hostRoll.all {
		var held fleet.Resources
		for _, t := range h.tasks {
			if t.admitted {
				need := t.kind.needs
				need.ENIs = 0
				held = held.Add(need)
			}
		}
		if held != h.held {
			return fmt.Errorf("the agent of %s holds %v, its tasks %v", h.machine.id, h.held, held)
		}
	}
	return nil
}

func TestServiceSettlesWhateverHappened(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 2))
		w := run(t, Config{Seed: seed}, busy, 0)
		for range 100 {
			meddle(w, rng)
			w.Advance(w.Now().Add(time.Duration(rng.IntN(5000)) * time.Millisecond))
		}
		// From now on nobody meddles and there is room enough.
		w.Advance(w.cfg.Start.Add(10 * time.Minute))
		_ = w.SetDesired("web", "web", 30)
		must(w.Launch(Fixture{Cluster: "web", Type: "m7i.4xlarge", Count: 2}))(t)
		w.Advance(w.Now().Add(20 * time.Minute))
		s := w.clusters["web"].services["web"]
		if !s.steady || s.running != 30 || len(s.deployments) != 1 {
			t.Errorf("seed %d: %d of 30 tasks run in %d deployments; last event %s", seed, s.running, len(s.deployments), s.events[len(s.events)-1].Message)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Region: "mars"}, `region "mars": write it like us-east-1`},
		{Config{Account: "12"}, `account "12": write 12 digits`},
		{Config{Subnets: []Subnet{{ID: "subnet-1", Zone: "us-east-1z"}}}, `zone "us-east-1z" is not one of the world's zones`},
		{Config{Subnets: []Subnet{{ID: "s", Zone: "us-east-1a"}, {ID: "s", Zone: "us-east-1a"}}}, "give each subnet an ID of its own"},
		{Config{Subnets: []Subnet{{ID: "s", Zone: "us-east-1a", CIDR: "10.0.0.0/8"}}}, `CIDR "10.0.0.0/8": write it like`},
		{Config{Zones: []Zone{{}}}, "zone without a name"},
		{Config{EventQueues: []string{"no good"}}, "event queue"},
	} {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %s", c.cfg, err, c.want)
		}
	}
}

func TestDeregisterRefusedWhileTasksRun(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 1 memory 1\nlaunch m7i.large\nservice web task web desired 1", 2*time.Minute)
	h := w.clusters["web"].hostRoll.items[0]
	in := &DeregisterContainerInstanceInput{Cluster: "web", ContainerInstance: h.arn}
	_, err := w.DeregisterContainerInstance(in)
	failsWith(t, "deregister", err, codeInvalid)
	if err == nil || !strings.Contains(err.Error(), "Found running tasks on the instance.") {
		t.Errorf("error %v", err)
	}
	in.Force = true
	out := must(w.DeregisterContainerInstance(in))(t)
	if out.ContainerInstance.Status != statusInactive || len(w.Harm()) != 1 {
		t.Errorf("status %s, harm %v", out.ContainerInstance.Status, w.Harm())
	}
	described := must(w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: "web", ContainerInstances: []string{h.arn}}))(t)
	if len(described.ContainerInstances) != 1 || described.ContainerInstances[0].Status != statusInactive {
		t.Errorf("described %+v", described)
	}
	if listed := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"}))(t); len(listed.ContainerInstanceArns) != 0 {
		t.Errorf("listed %v", listed.ContainerInstanceArns)
	}
}

func TestTerminateWithTasksIsHarm(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 1 memory 1\nlaunch m7i.large count 2\nservice web task web desired 4\nat 3m terminate oldest", 10*time.Minute)
	if harm := w.Harm(); len(harm) != 1 || !strings.Contains(harm[0], ViolationTerminated) {
		t.Errorf("harm %v", harm)
	}
	truth := w.Truth()
	if s := truth.Clusters[0].Services[0]; s.Running != 4 || s.Missing != 0 {
		t.Errorf("service %+v", s)
	}
}

func TestStandaloneTasksFailWithReasons(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask job cpu 1024 memory 100\ncluster empty\ncluster web\nlaunch m7i.large", 2*time.Minute)
	three := 3
	out := must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Count: &three}))(t)
	if len(out.Tasks) != 2 || len(out.Failures) != 1 || out.Failures[0].Reason != "RESOURCE:CPU" {
		t.Errorf("%d tasks, failures %+v", len(out.Tasks), out.Failures)
	}
	_, err := w.RunTask(&RunTaskInput{Cluster: "empty", TaskDefinition: "job"})
	failsWith(t, "run on an empty cluster", err, codeInvalid)
	eleven := 11
	_, err = w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Count: &eleven})
	failsWith(t, "run 11", err, codeInvalid)
	_, err = w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", Group: "service:web"})
	failsWith(t, "run as a service", err, codeInvalid)
}

func TestRunTaskIsIdempotent(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask job cpu 10 memory 100\nlaunch m7i.large", 2*time.Minute)
	in := &RunTaskInput{Cluster: "web", TaskDefinition: "job", ClientToken: "a"}
	first := must(w.RunTask(in))(t)
	again := must(w.RunTask(in))(t)
	if first.Tasks[0].TaskArn != again.Tasks[0].TaskArn || len(w.clusters["web"].tasks) != 1 {
		t.Errorf("a repeated run made another task")
	}
	two := 2
	_, err := w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", ClientToken: "a", Count: &two})
	failsWith(t, "token with another count", err, codeConflict)
}

func TestProtectionHoldsInScaleIn(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 100 memory 100\nlaunch m7i.large\nservice web task web desired 5\nat 2m protect web count 2\nat 3m service web desired 1", 5*time.Minute)
	s := w.clusters["web"].services["web"]
	if s.running != 2 {
		t.Fatalf("%d tasks run, the 2 protected ones should", s.running)
	}
	arns := []string{s.active[0].arn, s.active[1].arn}
	got := must(w.GetTaskProtection(&GetTaskProtectionInput{Cluster: "web", Tasks: append(arns, "nobody")}))(t)
	if len(got.ProtectedTasks) != 2 || !got.ProtectedTasks[0].ProtectionEnabled || len(got.Failures) != 1 {
		t.Errorf("protection %+v", got)
	}
	must(w.UpdateTaskProtection(&UpdateTaskProtectionInput{Cluster: "web", Tasks: arns[:1]}))(t)
	w.Advance(w.Now().Add(time.Minute))
	if s.running != 1 || s.active[0].arn != arns[1] {
		t.Errorf("%d tasks run, the one that is still protected should", s.running)
	}
}

func TestTaskOverridesAndNeeds(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	host := []PortMapping{{ContainerPort: 80, HostPort: 80, Protocol: "tcp"}, {ContainerPort: 53, HostPort: 53, Protocol: "udp"}}
	for _, c := range []struct {
		name  string
		d     RegisterTaskDefinitionInput
		o     *TaskOverride
		want  fleet.Resources
		ports int
	}{
		{"containers", RegisterTaskDefinitionInput{ContainerDefinitions: []ContainerDefinition{{CPU: 10, Memory: 100, MemoryReservation: 60}, {CPU: 5, Memory: 7}}}, nil, fleet.Resources{CPUUnits: 15, MemoryMiB: 67}, 0},
		{"task size wins", RegisterTaskDefinitionInput{CPU: "0.5 vCPU", Memory: "1GB", ContainerDefinitions: []ContainerDefinition{{CPU: 10, Memory: 100}}}, nil, fleet.Resources{CPUUnits: 512, MemoryMiB: 1024}, 0},
		{"bridge ports", RegisterTaskDefinitionInput{ContainerDefinitions: []ContainerDefinition{{Memory: 1, PortMappings: append(host, PortMapping{ContainerPort: 9})}}}, nil, fleet.Resources{MemoryMiB: 1}, 2},
		{"host ports", RegisterTaskDefinitionInput{NetworkMode: "host", ContainerDefinitions: []ContainerDefinition{{Memory: 1, PortMappings: []PortMapping{{ContainerPort: 9}}}}}, nil, fleet.Resources{MemoryMiB: 1}, 1},
		{"awsvpc", RegisterTaskDefinitionInput{NetworkMode: "awsvpc", ContainerDefinitions: []ContainerDefinition{{Memory: 1, PortMappings: host}}}, nil, fleet.Resources{MemoryMiB: 1, ENIs: 1}, 0},
		{"gpu", RegisterTaskDefinitionInput{ContainerDefinitions: []ContainerDefinition{{Memory: 1, ResourceRequirements: []ResourceRequirement{{"GPU", "2"}}}}}, nil, fleet.Resources{MemoryMiB: 1, GPUs: 2}, 0},
		{
			"container override",
			RegisterTaskDefinitionInput{ContainerDefinitions: []ContainerDefinition{{Name: "a", CPU: 1, Memory: 1}}},
			&TaskOverride{ContainerOverrides: []ContainerOverride{{Name: "a", CPU: number(8), Memory: number(9)}}},
			fleet.Resources{CPUUnits: 8, MemoryMiB: 9},
			0,
		},
		{
			"task override",
			RegisterTaskDefinitionInput{CPU: "256", ContainerDefinitions: []ContainerDefinition{{Memory: 1}}},
			&TaskOverride{CPU: "1024"},
			fleet.Resources{CPUUnits: 1024, MemoryMiB: 1},
			0,
		},
	} {
		w := must(New(Config{}))(t)
		c.d.Family = "f"
		for i := range c.d.ContainerDefinitions {
			c.d.ContainerDefinitions[i].Image = "i"
			if c.d.ContainerDefinitions[i].Name == "" {
				c.d.ContainerDefinitions[i].Name = fmt.Sprintf("c%d", i)
			}
		}
		must(w.RegisterTaskDefinition(&c.d))(t)
		got, ports := must(w.definition("f"))(t).needs(c.o)
		if got != c.want || len(ports) != c.ports {
			t.Errorf("%s: needs %v and ports %v, want %v and %d", c.name, got, ports, c.want, c.ports)
		}
	}
}
