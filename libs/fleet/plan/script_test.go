package plan_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// script is a snapshot, a policy and a memory in a small language, read line by line. Each
// line is a word, its arguments, and options of the form name=value or name alone; quotes
// keep spaces together. The words are the methods in verbs.
//
//	service web desired=3 cpu=512 mem=1024
//	instance i-1 m7i.large zone=a age=1h tasks=web*2
type script struct {
	snap    fleet.Snapshot
	pol     fleet.Policy
	mem     fleet.Memory
	groups  map[string]int
	explain bool // render what was considered, too

	services bool // render what is remembered of services, and since when demand is armed

	setbackPolicy string // digest of the policy under which things failed; empty is the one of now
}

// noon is "now" in every script.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// shop is the catalogue of every script that does not bring its own types: vCPUs, GiB,
// price on demand, price on spot.
var shop = []string{
	"m7i.large 2 8 0.1008 0.0400 enis=3 trunk=10",
	"m7i.xlarge 4 16 0.2016 0.0800 enis=4 trunk=20",
	"m7i.2xlarge 8 32 0.4032 0.1600 enis=4 trunk=40",
	"c7i.large 2 4 0.0893 0.0380 enis=3 trunk=10",
	"r7i.large 2 16 0.1323 0.0500 enis=3 trunk=10",
}

func newScript() *script {
	s := &script{groups: map[string]int{}}
	no := false
	s.snap = fleet.Snapshot{Cluster: "prod", Region: "eu-west-1", Generation: 1, ReadStartedAt: noon.Add(-5 * time.Second), TakenAt: noon}
	for _, name := range fleet.AllSections() {
		s.snap.Sections = append(s.snap.Sections, fleet.Section{Name: name, ReadAt: noon.Add(-5 * time.Second), Complete: true})
	}
	for _, zone := range []string{"a", "b"} {
		s.snap.Subnets = append(s.snap.Subnets, fleet.Subnet{ID: fleet.SubnetID("subnet-" + zone), Zone: fleet.Zone(zone), VPC: "vpc-1", FreeAddresses: 200})
	}
	s.pol = fleet.Policy{DryRun: &no, Limits: fleet.Limits{MaxInstances: 100}}
	s.mem = fleet.Memory{Generation: 1}
	return s
}

// verbs are the words of the language.
var verbs = map[string]func(*script, line){
	"type":      (*script).typ,       // type NAME VCPUS GIB PRICE [SPOT]: what may be bought; the first one empties the shop
	"spec":      (*script).spec,      // spec NAME [JSON]: a launch spec; "default" exists if no other does
	"policy":    (*script).policy,    // policy JSON: laid over the defaults of the script
	"subnet":    (*script).subnet,    // subnet ZONE free=N
	"group":     (*script).group,     // group NAME …: a task group, service or not
	"service":   (*script).service,   // service NAME desired=N …: a service with one deployment and its task group
	"instance":  (*script).instance,  // instance ID TYPE zone= age= tasks=NAME*N!PROTECTED,…
	"waiting":   (*script).waiting,   // waiting NAME N [refused]: provisioning without an instance, or refused by ECS
	"section":   (*script).section,   // section NAME age= problem=
	"learned":   (*script).learned,   // learned TYPE mem=N reserved=N
	"open":      (*script).open,      // open KIND ID …: an action of an earlier plan
	"short":     (*script).short,     // short TYPE ZONE LIFECYCLE for=
	"drought":   (*script).drought,   // drought zone= for=: no spot instances, whatever the type, until in so long
	"setback":   (*script).setback,   // setback KIND OF class= message= times= for=: failed before, until in so long
	"idle":      (*script).idle,      // idle ID for=
	"unhealthy": (*script).unhealthy, // unhealthy ID for=: since when it has not worked
	"dear":      (*script).dear,      // dear for= searched=: since when the cluster could cost less; when nothing was found
	"roll":      (*script).roll,      // roll ID age= state= batch=ID,… since= why= [JSON]: that a person asked for, and how the last plan left it
	"census":    (*script).census,    // census instances= working= leaving= services= wanted= running= age=: of the last view
	"upheaval":  (*script).upheaval,  // upheaval share= for= seen: since when something is missed
	"removed":   (*script).removed,   // removed ID TYPE age=: not long ago
	"replacing": (*script).replacing, // replacing ID,… age=: a replacement under way
	"wanted":    (*script).wanted,    // wanted NAME for=: since when the demand has been unmet
	"seen":      (*script).seen,      // seen NAME desired= grown= halved= failed= crashed= room: what is remembered of a service
	"at":        (*script).at,        // at 2026-03-14T18:00:00Z: now
	"changed":   (*script).changed,   // changed launched= removed=: how long ago
	"pause":     (*script).pause,     // pause by= why=
	"explain":   func(s *script, _ line) { s.explain = true },
	"services":  func(s *script, _ line) { s.services = true },
}

// read runs the lines of a script.
func read(text string) (*script, error) {
	s := newScript()
	for n, raw := range strings.Split(text, "\n") {
		l, err := parseLine(raw)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if l.verb == "" {
			continue
		}
		verb, ok := verbs[l.verb]
		if !ok {
			return nil, fmt.Errorf("line %d: there is no word %q", n+1, l.verb)
		}
		verb(s, l)
	}
	s.finish()
	pol := s.pol.WithDefaults()
	if err := pol.Validate(); err != nil {
		return nil, err
	}
	return s, s.snap.Validate()
}

// line is one line of a script, taken apart.
type line struct {
	verb    string
	args    []string
	options map[string]string
}

func parseLine(raw string) (line, error) {
	l := line{options: map[string]string{}}
	var words []string
	var word strings.Builder
	var quote rune
	started := false
	for _, r := range raw {
		switch {
		case quote == 0 && r == '#':
			raw = ""
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && r == '"':
			quote, started = r, true
		case quote == 0 && r == ' ':
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
			continue
		default:
			word.WriteRune(r)
			started = true
			continue
		}
		if raw == "" {
			break
		}
	}
	if quote != 0 {
		return l, fmt.Errorf("a quote is not closed")
	}
	if started {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return l, nil
	}
	l.verb = words[0]
	for i, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok && name != "" && !strings.ContainsAny(name, ` :{`) {
			l.options[name] = value
		} else if i < 5 && len(l.options) == 0 && (!flags[w] || l.verb == "short") {
			l.args = append(l.args, w)
		} else {
			l.options[w] = "yes"
		}
	}
	return l, nil
}

// flags are options that stand alone and may come first.
var flags = map[string]bool{"refused": true, "room": true, "burstable": true, "metal": true, "booting": true, "spot": true, "over": true, "daemon": true, "standalone": true, "not-ours": true, "agent-away": true, "impaired": true}

func (l line) has(name string) bool { _, ok := l.options[name]; return ok }

func (l line) int(name string, otherwise int) int {
	if v, ok := l.options[name]; ok {
		return number(v)
	}
	return otherwise
}

func (l line) ago(name string, otherwise time.Duration) time.Time {
	if v, ok := l.options[name]; ok && v != "yes" {
		d, err := time.ParseDuration(v)
		if err != nil {
			panic(err)
		}
		otherwise = d
	}
	return noon.Add(-otherwise)
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *script) typ(l line) {
	usd := func(i int) fleet.Price {
		if i >= len(l.args) {
			return 0
		}
		v, err := strconv.ParseFloat(l.args[i], 64)
		if err != nil {
			panic(err)
		}
		return fleet.USD(v)
	}
	t := fleet.InstanceType{
		Name: fleet.TypeName(l.args[0]), Architectures: []fleet.Architecture{fleet.X86}, VCPUs: int64(number(l.args[1])), MemoryMiB: int64(number(l.args[2])) * 1024,
		OnDemand: usd(3), MaxENIs: int64(l.int("enis", 3)), TrunkTasks: int64(l.int("trunk", 0)), GPUs: int64(l.int("gpu", 0)), Burstable: l.has("burstable"), Metal: l.has("metal"),
		DiskGiB: int64(l.int("disk", 0)), NetworkMbps: int64(l.int("mbps", 0)),
	}
	if arch := l.options["arch"]; arch != "" {
		t.Architectures = []fleet.Architecture{fleet.Architecture(arch)}
	}
	licence := fleet.Price(l.int("windows", 0)) * 1000 // in thousandths of a dollar
	if licence > 0 {
		t.Windows = t.OnDemand + licence
	}
	for _, zone := range strings.Split(or(l.options["zones"], "a,b"), ",") {
		z := fleet.ZoneOffer{Zone: fleet.Zone(zone), Spot: usd(4)}
		if licence > 0 {
			z.Windows = z.Spot + licence
		}
		t.Zones = append(t.Zones, z)
	}
	s.snap.Types = append(s.snap.Types, t)
}

func or(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

func (s *script) spec(l line) {
	spec := fleet.LaunchSpec{Name: fleet.LaunchSpecName(l.args[0]), Images: []string{"ami-1"}, Subnets: []fleet.SubnetID{"subnet-a", "subnet-b"}}
	if len(l.args) > 1 {
		decode(l.args[1], &spec)
	}
	s.pol.LaunchSpecs = append(s.pol.LaunchSpecs, spec)
}

// decode reads JSON in which single quotes stand for double ones.
func decode(text string, into any) {
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, "'", `"`)), into); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
}

func (s *script) policy(l line) { decode(l.args[0], &s.pol) }

func (s *script) subnet(l line) {
	for i := range s.snap.Subnets {
		if string(s.snap.Subnets[i].Zone) == l.args[0] {
			s.snap.Subnets[i].FreeAddresses = l.int("free", 0)
		}
	}
}

func (s *script) group(l line) { s.newGroup("family:"+l.args[0], l) }

func (s *script) newGroup(name string, l line) int {
	g := fleet.TaskGroup{
		Group: name, TaskDefinition: or(l.options["def"], l.args[0]+":1"), Unsized: l.has("unsized"), Distinct: l.has("distinct"),
		Needs:      fleet.Resources{CPUUnits: int64(l.int("cpu", 0)), MemoryMiB: int64(l.int("mem", 0)), GPUs: int64(l.int("gpu", 0)), ENIs: int64(l.int("eni", 0))},
		Standalone: l.has("standalone"), Restricted: l.has("restricted-task"), Daemon: l.has("daemon"), CapacityProvider: l.options["provider"],
		Architecture: fleet.Architecture(l.options["arch"]),
	}
	if port := l.int("port", 0); port > 0 {
		g.Ports = fleet.NewPorts(fleet.Port{Number: uint16(port), Protocol: fleet.TCP})
	}
	if c := l.options["memberOf"]; c != "" {
		g.Constraints = []string{c}
	}
	if z := l.options["zones"]; z != "" {
		for _, zone := range strings.Split(z, ",") {
			g.Zones = append(g.Zones, fleet.Zone(zone))
		}
	}
	if a := l.options["needs"]; a != "" {
		name, value, _ := strings.Cut(a, "=")
		g.RequiredAttributes = []fleet.Attribute{{Name: name, Value: value}}
	}
	if kind, field, ok := strings.Cut(l.options["strategy"], ":"); ok {
		g.Strategy = []fleet.Strategy{{Type: fleet.StrategyType(kind), Field: field}}
	}
	s.groups[l.args[0]] = len(s.snap.TaskGroups)
	s.snap.TaskGroups = append(s.snap.TaskGroups, g)
	return len(s.snap.TaskGroups) - 1
}

func (s *script) service(l line) {
	group := s.newGroup("service:"+l.args[0], l)
	svc := fleet.Service{
		Name: fleet.ServiceName(l.args[0]), Scheduling: fleet.Replica, Desired: l.int("desired", 0),
		MinHealthyPercent: l.int("min", 100), MaxPercent: l.int("max", 200), Restricted: l.has("restricted"), CreatedAt: noon.Add(-24 * time.Hour),
	}
	if l.has("daemon") {
		svc.Scheduling = fleet.Daemon
	}
	svc.Deployments = []fleet.Deployment{{ID: "d-" + l.args[0], Primary: true, Group: group, Desired: svc.Desired, Rollout: rolloutOf(l), Pending: l.int("pending", 0), Failed: l.int("failed", 0)}}
	if old := l.options["replaces"]; old != "" { // an older deployment: service:OLD becomes a part of this service
		i := s.groups[old]
		s.snap.TaskGroups[i].Group = "service:" + l.args[0]
		svc.Deployments = append(svc.Deployments, fleet.Deployment{ID: "d-old", Group: i, Rollout: fleet.RolloutCompleted})
	}
	s.snap.Services = append(s.snap.Services, svc)
}

func (s *script) instance(l line) {
	inst := fleet.Instance{
		ID: fleet.InstanceID(l.args[0]), ContainerInstance: fleet.ContainerInstanceID("ci-" + l.args[0]), Status: fleet.InstanceStatus(or(l.options["status"], "active")),
		Type: fleet.TypeName(l.args[1]), Zone: fleet.Zone(or(l.options["zone"], "a")), Lifecycle: fleet.OnDemand, Architecture: fleet.X86, Image: fleet.ImageID(or(l.options["image"], "ami-1")),
		Owner: "neap", LaunchSpec: fleet.LaunchSpecName(or(l.options["spec"], "default")), Action: fleet.ActionID(l.options["action"]), Drain: fleet.ActionID(l.options["drain"]),
		LaunchedAt: l.ago("age", time.Hour), RegisteredAt: l.ago("age", time.Hour), AgentConnected: !l.has("agent-away"), Impaired: l.has("impaired"), AgentVersion: "1.90.0",
		Protected: l.options["protected"], Attributes: fleet.NoIndex, CapacityProvider: l.options["provider"],
		AutoScalingGroup: l.options["asg"], Spec: l.options["print"],
	}
	if l.has("spot") {
		inst.Lifecycle = fleet.Spot
	}
	if l.has("not-ours") {
		inst.Owner, inst.LaunchSpec = "", ""
	}
	if kind := l.options["notice"]; kind != "" {
		inst.Notice = fleet.Notice{Kind: fleet.NoticeKind(kind), At: noon.Add(-10 * time.Second)}
	}
	if l.has("booting") {
		inst.Status, inst.ContainerInstance, inst.AgentConnected, inst.RegisteredAt = fleet.StatusLaunching, "", false, time.Time{}
	}
	i := len(s.snap.Instances)
	s.snap.Instances = append(s.snap.Instances, inst)
	for _, part := range strings.Split(l.options["tasks"], ",") {
		name, count, ok := strings.Cut(part, "*")
		if !ok {
			continue
		}
		tc := fleet.TaskCount{Instance: i, Group: s.groups[name]}
		if running, protected, ok := strings.Cut(count, "!"); ok {
			count, tc.Protected = running, number(protected)
		}
		tc.Running = number(count)
		s.snap.Tasks = append(s.snap.Tasks, tc)
	}
	if name := l.options["stopping"]; name != "" {
		s.snap.Tasks = append(s.snap.Tasks, fleet.TaskCount{Instance: i, Group: s.groups[name], Stopping: 1})
	}
	if attribute := l.options["attribute"]; attribute != "" {
		name, value, _ := strings.Cut(attribute, ":")
		s.snap.Instances[i].OwnAttributes = []fleet.Attribute{{Name: name, Value: value}}
	}
}

func (s *script) waiting(l line) {
	s.snap.Waiting = append(s.snap.Waiting, fleet.Waiting{Group: s.groups[l.args[0]], Count: number(l.args[1]), Since: noon.Add(-time.Minute), Refused: l.has("refused")})
}

func (s *script) section(l line) {
	for i := range s.snap.Sections {
		if sec := &s.snap.Sections[i]; string(sec.Name) == l.args[0] {
			sec.Problem, sec.Complete = l.options["problem"], !l.has("problem")
			sec.ReadAt = l.ago("age", 5*time.Second)
		}
	}
}

func (s *script) learned(l line) {
	s.snap.Learned = append(s.snap.Learned, fleet.Learned{Type: fleet.TypeName(l.args[0]), Image: "ami-1", ReservedMemory: int64(l.int("reserved", 0)), Capacity: fleet.Resources{CPUUnits: int64(l.int("cpu", 2048)), MemoryMiB: int64(l.int("mem", 0))}})
}

func (s *script) open(l line) {
	at := l.ago("age", time.Minute)
	a := fleet.Action{ID: fleet.ActionID(l.args[1]), Kind: fleet.ActionKind(l.args[0]), Deadline: at.Add(10 * time.Minute)}
	target := fleet.InstanceID(l.options["on"])
	switch a.Kind {
	case fleet.ActionLaunch:
		a.Launch = &fleet.Launch{
			Spec: fleet.LaunchSpec{Name: "default"}, Lifecycle: fleet.OnDemand, Count: l.int("count", 1), Boot: fleet.Duration(7 * time.Minute), Replaces: l.has("replaces"),
			Offerings: []fleet.Offering{{
				LaunchSpec: "default", Type: fleet.TypeName(l.options["type"]), Zone: "a", Subnet: "subnet-a", Lifecycle: fleet.OnDemand, Image: "ami-1", ImageID: "ami-1",
				Architecture: fleet.X86, Capacity: fleet.Resources{CPUUnits: 2048, MemoryMiB: 7604, ENIs: 2}, Price: fleet.USD(0.1008),
			}},
		}
	case fleet.ActionDrain:
		a.Drain = &fleet.Drain{Instance: target, ContainerInstance: fleet.ContainerInstanceID("ci-" + target), Timeout: fleet.Duration(15 * time.Minute), Involuntary: l.has("involuntary")}
	case fleet.ActionRestore:
		a.Restore = &fleet.Restore{Instance: target, ContainerInstance: fleet.ContainerInstanceID("ci-" + target), Drain: fleet.ActionID(l.options["drain"])}
	case fleet.ActionReap:
		a.Reap = &fleet.Reap{Instance: target}
	}
	o := fleet.Open{Action: a, Plan: "p-0", PlannedAt: at, Over: l.has("over"), Class: fleet.FailureClass(l.options["class"]), Message: l.options["message"]}
	if o.Over {
		o.OverAt = l.ago("over", 30*time.Second)
	}
	if ids := l.options["gave"]; ids != "" {
		for _, id := range strings.Split(ids, ",") {
			o.Instances = append(o.Instances, fleet.LaunchedInstance{ID: fleet.InstanceID(id), Type: fleet.TypeName(l.options["type"]), Zone: "a", Lifecycle: fleet.OnDemand})
		}
	}
	s.mem.Open = append(s.mem.Open, o)
}

func (s *script) short(l line) {
	s.mem.Shortages = append(s.mem.Shortages, fleet.Shortage{
		Offering: fleet.OfferingKey{Type: fleet.TypeName(l.args[0]), Zone: fleet.Zone(l.args[1]), Lifecycle: fleet.Lifecycle(l.args[2])},
		Until:    noon.Add(noon.Sub(l.ago("for", 3*time.Minute))), Strikes: 1,
	})
}

func (s *script) drought(l line) {
	s.mem.Drought = fleet.Drought{Zone: fleet.Zone(l.options["zone"]), At: noon.Add(-time.Minute), Until: noon.Add(noon.Sub(l.ago("for", 3*time.Minute))), Strikes: 2}
}

func (s *script) setback(l line) {
	s.mem.Setbacks = append(s.mem.Setbacks, fleet.Setback{
		Kind: fleet.ActionKind(l.args[0]), Of: l.args[1], Class: fleet.FailureClass(l.options["class"]), Message: l.options["message"],
		At: noon.Add(-time.Minute), Until: noon.Add(noon.Sub(l.ago("for", time.Minute))), Strikes: number(l.options["times"]),
	})
	s.setbackPolicy = l.options["policy"]
}

func (s *script) idle(l line) {
	s.mem.Idle = append(s.mem.Idle, fleet.Idle{Instance: fleet.InstanceID(l.args[0]), Since: l.ago("for", 10*time.Minute)})
}

func (s *script) unhealthy(l line) {
	s.mem.Unhealthy = append(s.mem.Unhealthy, fleet.Unhealthy{Instance: fleet.InstanceID(l.args[0]), Since: l.ago("for", 10*time.Minute)})
}

func (s *script) dear(l line) {
	if l.has("for") {
		s.mem.Saving.Since = l.ago("for", 0)
	}
	if l.has("searched") {
		s.mem.Saving.SearchedAt = l.ago("searched", 0)
	}
}

func (s *script) replacing(l line) {
	s.mem.Replacing.Since = l.ago("age", 2*time.Minute)
	for _, id := range strings.Split(l.args[0], ",") {
		s.mem.Replacing.Instances = append(s.mem.Replacing.Instances, fleet.InstanceID(id))
	}
}

func (s *script) roll(l line) {
	r := fleet.Roll{ID: l.args[0], By: "ann", StartedAt: l.ago("age", 10*time.Minute), Total: l.int("total", 0), Drifted: l.has("drifted"), RespectRestrict: l.has("respect")}
	if len(l.args) > 1 {
		decode(l.args[1], &r)
	}
	r.RollPace = r.WithDefaults()
	if !l.has("policy") {
		s.mem.Roll = r
	}
	if l.has("stopped") {
		s.mem.Roll.Stopped = l.ago("stopped", time.Minute)
	}
	if l.has("resumed") {
		s.mem.Roll.Resumed = l.ago("resumed", time.Minute)
	}
	if state := l.options["state"]; state != "" {
		if l.has("policy") {
			r.By = "policy"
		}
		s.mem.Rolling = fleet.Rolling{Roll: r, State: fleet.RollState(state), Since: l.ago("since", 5*time.Minute), Why: l.options["why"]}
		for id := range strings.SplitSeq(l.options["batch"], ",") {
			s.mem.Rolling.Batch = append(s.mem.Rolling.Batch, fleet.InstanceID(id))
		}
	}
}

func (s *script) census(l line) {
	s.mem.Census = fleet.Census{
		ReadAt: l.ago("age", 15*time.Second), Instances: l.int("instances", 0), Leaving: l.int("leaving", 0), Working: l.int("working", l.int("instances", 0)),
		Services: l.int("services", 0), Wanted: l.int("wanted", 0), Running: l.int("running", 0), Staying: l.int("staying", l.int("running", 0)),
	}
}

func (s *script) upheaval(l line) {
	s.mem.Upheaval = fleet.Upheaval{Since: l.ago("for", time.Minute), What: "much is gone", Share: l.int("share", 20), Seen: l.has("seen")}
}

func (s *script) removed(l line) {
	s.mem.Removed = append(s.mem.Removed, fleet.Removed{Instance: fleet.InstanceID(l.args[0]), Type: fleet.TypeName(l.args[1]), At: l.ago("age", 2*time.Minute)})
}

func (s *script) wanted(l line) {
	age := fleet.DemandAge{Group: "service:" + l.args[0], Deployment: or(l.options["deployment"], "d-"+l.args[0]), Since: l.ago("for", time.Minute)}
	for i := range s.snap.Services {
		if string(s.snap.Services[i].Name) == l.args[0] {
			age.Desired = l.int("desired", s.snap.Services[i].Desired)
		}
	}
	if l.has("armed") {
		age.Armed = l.ago("armed", 0)
	}
	s.mem.Demand = append(s.mem.Demand, age)
}

func (s *script) seen(l line) {
	known := fleet.SeenService{
		Service: fleet.ServiceName(l.args[0]), Desired: l.int("desired", 0), Grown: l.int("grown", 0),
		Failed: l.int("failed", 0), Crashed: l.int("crashed", 0), HadRoom: l.has("room"),
	}
	if known.Grown > 0 {
		known.HalvedAt = l.ago("halved", time.Hour)
	}
	if known.Failed > 0 || l.has("room") {
		known.Deployment = or(l.options["deployment"], "d-"+l.args[0])
	}
	s.mem.Services = append(s.mem.Services, known)
}

// at moves the snapshot to another time. Ages count from noon still.
func (s *script) at(l line) {
	now, err := time.Parse(time.RFC3339, l.args[0])
	if err != nil {
		panic(err)
	}
	s.snap.ReadStartedAt, s.snap.TakenAt = now, now
	for i := range s.snap.Sections {
		s.snap.Sections[i].ReadAt = now
	}
}

func (s *script) changed(l line) {
	if l.has("launched") {
		s.mem.LaunchedAt = l.ago("launched", 0)
	}
	if l.has("removed") {
		s.mem.RemovedAt = l.ago("removed", 0)
	}
}

func (s *script) pause(l line) {
	s.mem.Pause = fleet.Pause{By: l.options["by"], Why: l.options["why"], Since: noon.Add(-time.Hour)}
}

// finish fills in what follows from the rest: what instances register, what is left of it,
// and how many tasks run.
func (s *script) finish() {
	if len(s.snap.Types) == 0 {
		for _, text := range shop {
			l, err := parseLine("type " + text)
			if err != nil {
				panic(err)
			}
			s.typ(l)
		}
	}
	if len(s.pol.LaunchSpecs) == 0 {
		s.spec(line{args: []string{"default"}})
	}
	s.pol.APIVersion = fleet.PolicyAPIVersion
	for i := range s.snap.Instances {
		inst := &s.snap.Instances[i]
		if inst.ContainerInstance == "" {
			continue
		}
		for _, t := range s.snap.Types {
			if t.Name == inst.Type {
				inst.Registered = fleet.Resources{CPUUnits: t.VCPUs * 1024, MemoryMiB: t.MemoryMiB - 220 - t.MemoryMiB*45/1000, GPUs: t.GPUs, ENIs: t.MaxENIs - 1}
				inst.Remaining = inst.Registered
			}
		}
	}
	for _, tc := range s.snap.Tasks {
		g, inst := &s.snap.TaskGroups[tc.Group], &s.snap.Instances[tc.Instance]
		inst.Remaining = inst.Remaining.Sub(g.Needs.Times(int64(tc.Running)))
		if tc.Running > 0 {
			inst.UsedPorts = inst.UsedPorts.Union(g.Ports)
		}
		for i := range s.snap.Services {
			for j := range s.snap.Services[i].Deployments {
				if dep := &s.snap.Services[i].Deployments[j]; dep.Group == tc.Group {
					dep.Running += tc.Running
				}
			}
		}
	}
}

// render is a plan for people to read in a diff.
func (s *script) render(p *fleet.Plan) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if p.DryRun {
		say("dry run")
	}
	for i := range p.Actions {
		a := &p.Actions[i]
		switch {
		case a.Launch != nil:
			o := &a.Launch.Offerings[0]
			say("launch %d %s %s %s of %s for %s", a.Launch.Count, o.Type, o.Zone, o.Lifecycle, o.LaunchSpec, carried(a.Launch.For))
			var also []string
			for _, o := range a.Launch.Offerings[1:] {
				also = append(also, string(o.Type)+" "+string(o.Zone))
			}
			if len(also) > 0 {
				say("       or %s", strings.Join(also, ", "))
			}
		case a.Drain != nil && a.Drain.Involuntary:
			say("drain  %s, involuntary, with %s", a.Drain.Instance, carried(a.Drain.Tasks))
		case a.Drain != nil:
			say("drain  %s with %s%s", a.Drain.Instance, carried(a.Drain.Tasks), howDrained(a.Drain))
		default:
			id, _ := a.Target()
			say("%-6s %s", a.Kind, id)
		}
		say("       because %s", a.Reason)
		for _, c := range a.Reason.Considered {
			if s.explain {
				say("       %s %s: %s", c.Candidate, c.Cost, c.Verdict)
			}
		}
	}
	for _, c := range p.Closures {
		say("close  %s %s: %s", c.Action, c.Verdict, c.Evidence)
	}
	for _, d := range p.Demand {
		if s.services {
			say("armed  %s at %s", d.Group, d.Armed.Format(time.TimeOnly))
		}
		say("demand %s %d: %s%s", d.Group, d.Count, count("fit ", d.FitNow)+count("launched ", d.Launched)+count("unplaced ", d.Unplaced), d.Reason)
	}
	for _, r := range p.Reasons {
		say("%-6s %s: %s", r.Code, r.Subject, r)
	}
	for _, v := range p.Services {
		if s.services {
			say("seen   %s wants %d; %s", v.Service, v.Desired, count("grown ", v.Grown)+count("failed ", v.Failed)+count("crashed ", v.Crashed))
		}
	}
	for _, i := range p.Idle {
		say("idle   %s since %s", i.Instance, i.Since.Format(time.TimeOnly))
	}
	for _, u := range p.Unhealthy {
		say("unhealthy %s since %s", u.Instance, u.Since.Format(time.TimeOnly))
	}
	if !p.Saving.Since.IsZero() {
		say("dear   since %s", p.Saving.Since.Format(time.TimeOnly))
	}
	if len(p.Replacing.Instances) > 0 {
		say("replacing %v since %s", p.Replacing.Instances, p.Replacing.Since.Format(time.TimeOnly))
	}
	if u := p.Upheaval; !u.IsZero() {
		say("upheaval since %s, %d %%", u.Since.Format(time.TimeOnly), u.Share)
	}
	if r := p.Rolling; !r.IsZero() {
		say("roll   %s %s: %d left, batch %v since %s %s", r.Roll.ID, r.State, r.Left, r.Batch, r.Since.Format(time.TimeOnly), r.Why)
	}
	sum := p.Summary
	if sum.HeadroomWanted > 0 {
		say("headroom %d of %d units", sum.HeadroomPresent, sum.HeadroomWanted)
	}
	say("cost   %s, then %s", sum.Cost, sum.CostAfter)
	return b.String()
}

// howDrained tells of a drain that is not as the defaults have it.
func howDrained(a *fleet.Drain) string {
	if a.RestrictedTasks {
		return ", and what tags keep"
	}
	if time.Duration(a.Timeout) == 15*time.Minute && a.OnTimeout == fleet.TimeoutStop {
		return ""
	}
	return fmt.Sprintf("; after %s %s", time.Duration(a.Timeout), a.OnTimeout)
}

func count(what string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d; ", what, n)
}

func carried(list []fleet.Carried) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, fmt.Sprintf("%d×%s", c.Count, c.What))
	}
	return or(strings.Join(parts, ", "), "nothing")
}

func (s *script) make() fleet.Plan {
	if s.mem.Policy = s.setbackPolicy; s.mem.Policy == "" {
		pol := s.pol.WithDefaults()
		s.mem.Policy, _ = pol.Digest()
	}
	return plan.Make(s.snap, s.pol, s.mem)
}

// rolloutOf is the state of a rolling deployment; none has no such state.
func rolloutOf(l line) fleet.Rollout {
	if l.options["rollout"] == "none" {
		return ""
	}
	return fleet.Rollout(or(l.options["rollout"], "completed"))
}
