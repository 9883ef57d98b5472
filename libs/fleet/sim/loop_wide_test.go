package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// need is what a service or a caller of RunTask of a wide world asks for, and which
// instances could hold a task of it, said once more without the query language.
type need struct {
	name             string
	desired, highest int
	cpu, memory      int64
	gpus             int64
	task, service    string            // statements without the numbers that change
	disk, lifecycle  func(string) bool // of the launch spec, of the offering; nil is any
	zone, typ        func(string) bool
	arch             fleet.Architecture
	awsvpc           bool
	beside           bool   // it wants to be where others are: no new instance helps it
	provider         string // capacity provider, which Neap launches nothing for
	standalone       bool
	deployed         bool      // anew: with full surge there is room for old and new tasks
	started          int       // of standalone tasks
	asked            time.Time // for them, the last time
}

// admits reports whether an empty instance of an offering could hold a task.
func (n *need) admits(spec *fleet.LaunchSpec, t *fleet.InstanceType, zone string, lifecycle fleet.Lifecycle, daemons fleet.Resources) bool {
	room := fleet.Resources{CPUUnits: t.VCPUs * 1024, MemoryMiB: t.MemoryMiB - 220 - t.MemoryMiB*45/1000, ENIs: t.MaxENIs - 1}.Sub(daemons)
	if strings.HasPrefix(string(t.Name), "g4dn.") && slices.Contains(spec.Images, imageGPU) {
		room.GPUs = t.GPUs
	}
	if t.Architectures[0] == fleet.ARM {
		room.MemoryMiB -= 64
	}
	if spec.ENITrunking && t.TrunkTasks > 0 {
		room.ENIs += t.TrunkTasks
	}
	needs := fleet.Resources{CPUUnits: n.cpu, MemoryMiB: n.memory, GPUs: n.gpus}
	if n.awsvpc {
		needs.ENIs = 1
	}
	switch {
	case n.beside, n.provider != "", n.lifecycle != nil && !n.lifecycle(string(lifecycle)), n.arch != "" && n.arch != t.Architectures[0]:
		return false
	case n.gpus == 0 && t.GPUs > 0: // kept for tasks that need one
		return false
	case n.disk != nil && !n.disk(spec.Attributes["disk"]), n.zone != nil && !n.zone(zone), n.typ != nil && !n.typ(string(t.Name)):
		return false
	}
	return needs.Fits(room)
}

// holders are the offerings of the policy that could hold a task on an instance of its own.
func (l *loop) holders(n *need) []string {
	var list []string
	pol := l.pol.WithDefaults()
	for i := range pol.LaunchSpecs {
		spec := &pol.LaunchSpecs[i]
		zones := map[fleet.Zone]bool{}
		for _, s := range l.snap.Subnets {
			zones[s.Zone] = zones[s.Zone] || s.FreeAddresses > 0 && slices.Contains(spec.Subnets, s.ID)
		}
		lifecycles := []fleet.Lifecycle{fleet.OnDemand}
		if *spec.SpotPercentage > 0 {
			lifecycles = append(lifecycles, fleet.Spot)
		}
		for j := range l.snap.Types {
			t := &l.snap.Types[j]
			if !plan.TypeAllowed(&spec.Types, t) || !slices.Contains(spec.Types.Architectures, t.Architectures[0]) {
				continue
			}
			for _, z := range t.Zones {
				for _, lifecycle := range lifecycles {
					if zones[z.Zone] && n.admits(spec, t, string(z.Zone), lifecycle, l.aboard) {
						list = append(list, fmt.Sprintf("%s %s %s %s", spec.Name, t.Name, z.Zone, lifecycle))
					}
				}
			}
		}
	}
	return list
}

// wideConfig is a world in which what can differ does.
func wideConfig(l *loop, seed uint64) sim.Config {
	r := l.rng
	cfg := sim.Config{Seed: seed, Trunking: r.IntN(2) == 0, WakeOnRegister: r.IntN(3) == 0}
	switch r.IntN(4) {
	case 0:
		cfg.Delays = sim.MeasuredDelays()
	case 1:
		cfg.Delays = sim.FastDelays().Eventual()
	}
	for _, letter := range []string{"a", "b", "c"}[:pick(r, 1, 2, 3, 3)] {
		cfg.Zones = append(cfg.Zones, sim.Zone{Name: "us-east-1" + letter})
	}
	if r.IntN(6) == 0 { // subnets that run out of addresses
		for i, z := range cfg.Zones {
			s := sim.Subnet{ID: fmt.Sprintf("subnet-%017x", 0xb0+i), Zone: z.Name, FreeAddresses: pick(r, 2, 3, 4, 200)}
			cfg.Subnets = append(cfg.Subnets, s)
		}
	}
	return cfg
}

// widePolicy makes a policy that may be asked of anybody, and removes nothing.
func (l *loop) widePolicy() {
	r := l.rng
	off, no := false, false
	spec := fleet.LaunchSpec{Name: "default", Images: []string{imageParameter}, ENITrunking: l.cfg.Trunking}
	for _, s := range must(l.w.DescribeSubnets(&sim.DescribeSubnetsInput{}))(l.t).Subnets {
		spec.Subnets = append(spec.Subnets, fleet.SubnetID(s.SubnetID))
	}
	l.market(&spec)
	spec.Orientation = pick(r, "", fleet.Cheapest, fleet.CostOriented, fleet.AvailabilityFirst)
	switch r.IntN(8) {
	case 0, 1, 2:
		spec.Types.Allow = []string{pick(r, "m7i.*", "c7i.*", "*.large", "*.xlarge", "m7i.xlarge", "c5n.*")}
	case 3: // both architectures
		spec.Images = append(spec.Images, imageARM)
		spec.Types.Architectures = []fleet.Architecture{fleet.X86, fleet.ARM}
	case 4:
		spec.PreferredTypes = []string{"m7i.*"}
	}
	l.pol = fleet.Policy{
		DryRun: &no, LaunchSpecs: []fleet.LaunchSpec{spec},
		Limits:    fleet.Limits{MaxInstances: mostHosts, MinInstances: pick(r, 0, 0, 0, 2)},
		ScaleDown: fleet.ScaleDown{Enabled: &off},
		ScaleUp:   fleet.ScaleUp{Surge: pick(r, fleet.SurgeFull, fleet.SurgeProgress), StandaloneFor: fleet.Duration(30 * time.Minute)},
	}
	more := func(spec fleet.LaunchSpec) {
		if r.IntN(2) == 0 {
			l.market(&spec)
		}
		if len(l.cfg.Zones) > 1 && r.IntN(3) == 0 {
			spec.Subnets = l.pol.LaunchSpecs[0].Subnets[:1]
		}
		l.pol.LaunchSpecs = append(l.pol.LaunchSpecs, spec)
	}
	if r.IntN(3) == 0 {
		more(fleet.LaunchSpec{Name: "fast", Attributes: map[string]string{"disk": "nvme"}, Types: fleet.TypeFilter{Allow: []string{"c6i.*"}}})
	}
	if r.IntN(3) == 0 {
		more(fleet.LaunchSpec{Name: "gpu", Images: []string{imageGPU}, Types: fleet.TypeFilter{Families: []string{"g4dn"}}})
	}
	if r.IntN(3) == 0 {
		more(fleet.LaunchSpec{Name: "arm", Images: []string{imageARM}, Types: fleet.TypeFilter{
			Architectures: []fleet.Architecture{fleet.ARM}, Allow: []string{"m7g.*", "c7g.*"},
		}})
	}
	if r.IntN(3) == 0 {
		l.wideHeadroom()
	}
	if r.IntN(5) == 0 {
		l.wideLimits()
	}
	p := l.pol.WithDefaults()
	if err := p.Validate(); err != nil && !strings.Contains(err.Error(), "cluster") {
		l.t.Fatal(err)
	}
}

// market draws how much of a launch spec is to be spot.
func (l *loop) market(spec *fleet.LaunchSpec) {
	spot, fallback := pick(l.rng, 0, 0, 30, 50, 100), l.rng.IntN(4) > 0
	spec.SpotPercentage, spec.SpotFallback = &spot, &fallback
}

func (l *loop) wideHeadroom() {
	r, h := l.rng, &l.pol.Headroom
	switch r.IntN(4) {
	case 0:
		h.Percentage = pick(r, 5, 10, 30)
	case 1:
		h.AutomaticPercentage = pick(r, 5, 10, 30)
	default:
		for range 1 + r.IntN(2) {
			u := fleet.HeadroomUnit{CPUUnits: pick[int64](r, 256, 512, 1024), MemoryMiB: pick[int64](r, 256, 512, 1024, 2048), Count: 1 + r.IntN(4)}
			if r.IntN(4) == 0 {
				u.LaunchSpec = pick(r, l.pol.LaunchSpecs...).Name
			}
			h.Units = append(h.Units, u)
		}
		if r.IntN(4) == 0 {
			h.Percentage = 10
		}
	}
}

// wideLimits sets a limit that a cluster like these may run into.
func (l *loop) wideLimits() {
	r, cluster, spec := l.rng, &l.pol.Limits, &l.pol.LaunchSpecs[l.rng.IntN(len(l.pol.LaunchSpecs))]
	switch r.IntN(6) {
	case 0:
		cluster.MaxInstances = max(2+r.IntN(4), cluster.MinInstances)
	case 1:
		cluster.MaxVCPUs = pick[int64](r, 8, 16, 24)
	case 2:
		cluster.MaxMemoryGiB = pick[int64](r, 16, 40, 64)
	case 3:
		spec.MaxInstances = 1 + r.IntN(4)
	case 4:
		spec.MaxVCPUs = pick[int64](r, 4, 8, 24)
	case 5:
		spec.MaxMemoryGiB = pick[int64](r, 16, 40, 64)
	}
}

// wideWorld makes services of every kind, instances that are not ours, and capacity
// providers that others scale.
func (l *loop) wideWorld() {
	r := l.rng
	l.run("cluster web")
	l.strangers()
	if r.IntN(6) == 0 {
		l.provider = "asg"
		l.run("group asg type m7i.large max 6 desired %d", r.IntN(2))
		l.run("provider asg group asg%s", pick(r, "", " managed"))
	}
	if r.IntN(2) == 0 {
		l.aboard = fleet.Resources{CPUUnits: pick[int64](r, 64, 128, 256), MemoryMiB: pick[int64](r, 64, 128, 256)}
		l.run("task agent cpu %d memory %d", l.aboard.CPUUnits, l.aboard.MemoryMiB)
		l.run("service agent task agent daemon%s", pick(r, "", "", " constraint 'attribute:ecs.os-type == linux'"))
	}
	for i := range 1 + r.IntN(5) {
		n := l.wideNeed(i)
		if n.service == "" { // of RunTask
			l.run("%s cpu %d memory %d", n.task, n.cpu, n.memory)
		} else {
			n.desired = r.IntN(n.highest + 1)
			l.run("%s cpu %d memory %d", n.task, n.cpu, n.memory)
			l.run("%s desired %d", n.service, n.desired)
		}
		l.needs = append(l.needs, n)
	}
}

// wideNeed draws what a service asks for.
func (l *loop) wideNeed(i int) *need {
	r := l.rng
	n := &need{name: fmt.Sprintf("s%d", i), highest: 15, cpu: pick[int64](r, 0, 128, 256, 256, 512, 1024), memory: pick[int64](r, 128, 256, 512, 512, 1024, 2048)}
	switch r.IntN(12) {
	case 0:
		n.cpu, n.memory, n.highest = 3000, 6000, 4 // not for .large
	case 1:
		n.cpu, n.memory, n.highest = pick[int64](r, 20_000, 2000), pick[int64](r, 4000, 300_000), 2
	}
	n.task = "task " + n.name
	mode := pick(r, "", "", "bridge", "host", "awsvpc")
	if mode != "" {
		n.task += " network " + mode
	}
	if r.IntN(5) == 0 {
		n.task += fmt.Sprintf(" port %d%s", 8000+i*r.IntN(2), pick(r, "", "/tcp", "/udp"))
		if mode != "awsvpc" {
			n.highest = min(n.highest, 6)
		}
	}
	if r.IntN(6) == 0 {
		n.arch = pick(r, fleet.X86, fleet.ARM)
		n.task += " arch " + string(n.arch)
	}
	if r.IntN(8) == 0 {
		n.gpus, n.highest = 1, min(n.highest, 3)
		n.task += " gpu 1"
	}
	if mode == "awsvpc" {
		n.awsvpc = true
	}
	if mode != "awsvpc" && r.IntN(5) == 0 {
		n.standalone, n.highest = true, min(n.highest, 8)
		if r.IntN(3) == 0 {
			n.task += l.wideConstraint(n, i)
		}
		return n
	}
	n.service = fmt.Sprintf("service %s task %s", n.name, n.name)
	if n.awsvpc {
		subnets := must(l.w.DescribeSubnets(&sim.DescribeSubnetsInput{}))(l.t).Subnets
		subnets = subnets[:1+r.IntN(len(subnets))]
		var zones []string
		for _, s := range subnets {
			n.service += " subnet " + s.SubnetID
			zones = append(zones, s.AvailabilityZone)
		}
		n.zone = func(zone string) bool { return slices.Contains(zones, zone) }
	}
	if l.provider != "" && r.IntN(2) == 0 {
		n.provider = l.provider
		n.service += " provider " + l.provider
		return n
	}
	if r.IntN(6) == 0 {
		n.service += " distinct"
		n.highest = min(n.highest, 6)
	}
	for range r.IntN(3) {
		n.service += l.wideConstraint(n, i)
	}
	n.service += pick(r, "", "", " strategy spread:attribute:ecs.availability-zone strategy spread:instanceId", " strategy binpack:memory", " strategy binpack:cpu",
		" strategy spread:attribute:ecs.availability-zone strategy binpack:cpu", " strategy random", " strategy spread:host", " strategy spread:attribute:ecs.instance-type")
	n.service += pick(r, "", "", " min 50 max 150", " min 0 max 100", " min 50 max 200", " min 100 max 150", " min 100 max 200")
	return n
}

// wideConstraint draws a placement constraint and narrows what may hold the task.
func (l *loop) wideConstraint(n *need, i int) string {
	r := l.rng
	both := func(f, g func(string) bool) func(string) bool {
		if f == nil {
			return g
		}
		return func(s string) bool { return f(s) && g(s) }
	}
	constraint := func(format string, args ...any) string { return fmt.Sprintf(" constraint '"+format+"'", args...) }
	switch r.IntN(14) {
	case 0:
		wanted := pick(r, fleet.OnDemand, fleet.Spot)
		n.lifecycle = both(n.lifecycle, func(l string) bool { return l == string(wanted) })
		return constraint("attribute:%s == %s", fleet.AttributeLifecycle, wanted)
	case 1:
		n.lifecycle = both(n.lifecycle, func(l string) bool { return l == string(fleet.OnDemand) })
		return constraint("attribute:%s==od", fleet.AttributeLifecycleAlias)
	case 2:
		n.disk = both(n.disk, func(d string) bool { return d == "nvme" })
		return constraint("attribute:disk in [nvme, ssd]")
	case 3:
		n.disk = both(n.disk, func(d string) bool { return d == "" })
		return constraint("attribute:disk !exists")
	case 4:
		n.typ = both(n.typ, func(t string) bool { return strings.HasPrefix(t, "m7i.") })
		return constraint("attribute:ecs.instance-type =~ m7i.*")
	case 5:
		n.typ = both(n.typ, func(t string) bool { return !strings.HasPrefix(t, "c") })
		return constraint("not(attribute:ecs.instance-type =~ c.*)")
	case 6:
		n.zone = both(n.zone, func(z string) bool { return z == "us-east-1a" || z == "us-east-1c" })
		return constraint("attribute:ecs.availability-zone in [us-east-1a, us-east-1c]")
	case 7:
		n.zone = both(n.zone, func(z string) bool { return z != "us-east-1a" })
		return constraint("attribute:ecs.availability-zone != us-east-1a")
	case 8:
		n.typ = both(n.typ, func(t string) bool { return !strings.Contains(t, ".l") && !strings.HasPrefix(t, "m7g") })
		return constraint("(attribute:ecs.instance-type !~ .*[.]large || attribute:ecs.instance-type == none) and not (attribute:ecs.instance-type =~ m7g.*)")
	case 9:
		if i > 0 {
			n.highest = min(n.highest, 6)
			return constraint("not(task:group == service:s%d)", i-1)
		}
		return constraint("agentConnected == true")
	case 10:
		if i > 0 && r.IntN(2) == 0 {
			n.beside = true
			return constraint("task:group == service:s%d", i-1)
		}
		return constraint("attribute:ecs.os-type == linux and attribute:ecs.cpu-architecture exists")
	case 11:
		n.highest = min(n.highest, 8)
		return constraint("runningTasksCount < %d", pick(r, 3, 5, 10))
	case 12:
		return constraint("agentVersion >= 1.20.0")
	default:
		return constraint("registeredAt > 2020-01-01")
	}
}
