package fleet

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Bounds of what a message may hold: what ECS itself allows, with room for growth.
// Anything larger is refused at the door.
const (
	maxInstances  = 20_000    // ECS: 5,000 container instances; terminated ones linger
	maxGroups     = 200_000   // distinct task definitions and overrides in use
	maxTaskCounts = 1_000_000 // ECS: 100,000 tasks in the largest clusters seen
	maxServices   = 20_000    // ECS: 5,000
	maxTypes      = 10_000    // EC2 sells about 1,400
	maxActions    = 1_000     // a plan that does more at once is not one to trust
	maxQuantity   = 1 << 50   // of any resource: sums of a cluster stay far below 2^63
	maxPort       = 65_535
)

// problems collects what is wrong with a value, each as field, value and remedy.
type problems []error

func (p *problems) add(field, format string, args ...any) {
	const most = 20 // a reader fixes the first few; an attacker gets no megabyte of log
	if len(*p) < most {
		*p = append(*p, fmt.Errorf("%w: %s: %s", ErrInvalid, field, fmt.Sprintf(format, args...)))
	}
}

func (p *problems) err() error { return errors.Join(*p...) }

// oneOf checks a value of a closed set.
func oneOf[T ~string](p *problems, field string, v T, allowed ...T) {
	if !slices.Contains(allowed, v) {
		p.add(field, "%q is unknown; use one of %q", clip(string(v)), allowed)
	}
}

// Validate checks everything that later code relies on: indices in range, quantities
// that cannot overflow, closed sets. It takes time linear in the size of the snapshot.
func (s *Snapshot) Validate() error {
	var p problems
	if err := s.Cluster.Validate(); err != nil {
		p = append(p, err)
	}
	if s.Generation == 0 {
		p.add("generation", "0; generations count from 1")
	}
	validTime(&p, "readStartedAt", s.ReadStartedAt)
	validTime(&p, "takenAt", s.TakenAt)
	if s.TakenAt.Before(s.ReadStartedAt) {
		p.add("takenAt", "%s is before readStartedAt %s", s.TakenAt, s.ReadStartedAt)
	}
	for _, t := range [...]struct {
		name      string
		have, max int
	}{
		{"instances", len(s.Instances), maxInstances},
		{"taskGroups", len(s.TaskGroups), maxGroups},
		{"tasks", len(s.Tasks), maxTaskCounts},
		{"services", len(s.Services), maxServices},
		{"types", len(s.Types), maxTypes},
		{"attributeSets", len(s.AttributeSets), maxInstances},
	} {
		if t.have > t.max {
			p.add(t.name, "%d rows; at most %d", t.have, t.max)
			return p.err()
		}
	}
	for i, sec := range s.Sections {
		oneOf(&p, fmt.Sprintf("sections[%d].name", i), sec.Name, AllSections()...)
	}
	s.validateInstances(&p)
	s.validateGroups(&p)
	s.validateServices(&p)
	s.validateCatalogue(&p)
	return p.err()
}

func (s *Snapshot) validateInstances(p *problems) {
	seen := make(map[InstanceID]bool, len(s.Instances))
	for i := range s.Instances {
		inst := &s.Instances[i]
		at := func(field string) string { return fmt.Sprintf("instances[%d] %s %s", i, clip(string(inst.ID)), field) }
		if inst.ID == "" {
			p.add(at("id"), "is empty")
		}
		if seen[inst.ID] {
			p.add(at("id"), "stands twice")
		}
		seen[inst.ID] = true
		if inst.plausible(len(s.AttributeSets)) {
			continue
		}
		oneOf(p, at("status"), inst.Status, StatusLaunching, StatusRegistering, StatusActive, StatusDraining, StatusDeregistering, StatusGone)
		oneOf(p, at("lifecycle"), inst.Lifecycle, OnDemand, Spot)
		oneOf(p, at("notice.kind"), inst.Notice.Kind, "", NoticeInterruption, NoticeRebalance)
		if inst.Attributes < NoIndex || inst.Attributes >= len(s.AttributeSets) {
			p.add(at("attributes"), "index %d of %d attribute sets", inst.Attributes, len(s.AttributeSets))
		}
		validResources(p, at("registered"), inst.Registered)
		// Remaining may be below zero: ECS counts tasks that an overridden agent took on.
		if tooLarge(inst.Remaining) {
			p.add(at("remaining"), "%+v is beyond any instance", inst.Remaining)
		}
		validPorts(p, at("usedPorts"), inst.UsedPorts)
	}
}

// plausible reports whether nothing is wrong with an instance but, perhaps, its ID. It says
// at once of nearly all of them what it takes a dozen words to ask.
func (i *Instance) plausible(sets int) bool {
	switch i.Status {
	case StatusLaunching, StatusRegistering, StatusActive, StatusDraining, StatusDeregistering, StatusGone:
	default:
		return false
	}
	return (i.Lifecycle == OnDemand || i.Lifecycle == Spot) && i.Notice.Kind == "" &&
		i.Attributes >= NoIndex && i.Attributes < sets &&
		!i.Registered.Negative() && !tooLarge(i.Registered) && !tooLarge(i.Remaining) && len(i.UsedPorts) == 0
}

// plausible reports whether nothing is wrong with a row of the task table.
func (c *TaskCount) plausible(instances, groups int) bool {
	count := func(n int) bool { return n >= 0 && n <= maxTaskCounts }
	return c.Instance >= 0 && c.Instance < instances && c.Group >= 0 && c.Group < groups &&
		count(c.Running) && count(c.Pending) && count(c.Stopping) && count(c.Protected)
}

func (s *Snapshot) validateGroups(p *problems) {
	for i := range s.TaskGroups {
		g := &s.TaskGroups[i]
		at := func(field string) string { return fmt.Sprintf("taskGroups[%d] %s %s", i, clip(g.Group), field) }
		if g.Group == "" {
			p.add(at("group"), "is empty")
		}
		validResources(p, at("needs"), g.Needs)
		validPorts(p, at("ports"), g.Ports)
		oneOf(p, at("architecture"), g.Architecture, "", X86, ARM)
		for _, strategy := range g.Strategy {
			oneOf(p, at("strategy"), strategy.Type, StrategySpread, StrategyBinpack, StrategyRandom)
		}
	}
	for i := range s.Tasks {
		t := &s.Tasks[i]
		if t.plausible(len(s.Instances), len(s.TaskGroups)) {
			continue
		}
		at := func(field string) string { return fmt.Sprintf("tasks[%d].%s", i, field) }
		if t.Instance < 0 || t.Instance >= len(s.Instances) {
			p.add(at("instance"), "index %d of %d instances", t.Instance, len(s.Instances))
		}
		validGroup(p, at("group"), t.Group, len(s.TaskGroups))
		for _, n := range []int{t.Running, t.Pending, t.Stopping, t.Protected} {
			validCount(p, at("count"), n)
		}
	}
	for i, w := range s.Waiting {
		validGroup(p, fmt.Sprintf("waiting[%d].group", i), w.Group, len(s.TaskGroups))
		validCount(p, fmt.Sprintf("waiting[%d].count", i), w.Count)
	}
}

func (s *Snapshot) validateServices(p *problems) {
	for i := range s.Services {
		svc := &s.Services[i]
		at := func(field string) string { return fmt.Sprintf("services[%d] %s %s", i, clip(string(svc.Name)), field) }
		oneOf(p, at("scheduling"), svc.Scheduling, Replica, Daemon)
		validCount(p, at("desired"), svc.Desired)
		if svc.MinHealthyPercent < 0 || svc.MaxPercent < 0 || svc.MaxPercent > 100_000 {
			p.add(at("minHealthyPercent, maxPercent"), "%d, %d are no percentages", svc.MinHealthyPercent, svc.MaxPercent)
		}
		for j := range svc.Deployments {
			d := &svc.Deployments[j]
			at := func(field string) string {
				return fmt.Sprintf("services[%d] %s deployments[%d].%s", i, clip(string(svc.Name)), j, field)
			}
			validGroup(p, at("group"), d.Group, len(s.TaskGroups))
			oneOf(p, at("rollout"), d.Rollout, "", RolloutInProgress, RolloutCompleted, RolloutFailed)
			for _, n := range []int{d.Desired, d.Running, d.Pending, d.Failed} {
				validCount(p, at("count"), n)
			}
		}
	}
}

func (s *Snapshot) validateCatalogue(p *problems) {
	for i := range s.Types {
		t := &s.Types[i]
		at := func(field string) string { return fmt.Sprintf("types[%d] %s %s", i, clip(string(t.Name)), field) }
		if t.Name == "" || t.VCPUs <= 0 || t.MemoryMiB <= 0 {
			p.add(at("size"), "%d vCPU, %d MiB: a type has both", t.VCPUs, t.MemoryMiB)
		}
		if t.OnDemand < 0 || t.Windows < 0 {
			p.add(at("onDemand"), "%s, for Windows %s, is no price", t.OnDemand, t.Windows)
		}
		validResources(p, at("disk, network"), Resources{CPUUnits: t.DiskGiB, MemoryMiB: t.NetworkMbps})
		validResources(p, at("size"), Resources{CPUUnits: t.VCPUs, MemoryMiB: t.MemoryMiB, GPUs: t.GPUs, ENIs: t.MaxENIs})
		for _, z := range t.Zones {
			if z.Zone == "" || z.Spot < 0 || z.Windows < 0 {
				p.add(at("zones"), "zone %q, spot price %s", clip(string(z.Zone)), z.Spot)
			}
		}
		for _, a := range t.Architectures {
			oneOf(p, at("architectures"), a, X86, ARM)
		}
	}
	for i, l := range s.Learned {
		validResources(p, fmt.Sprintf("learned[%d] %s", i, clip(string(l.Type))), l.Capacity)
		validResources(p, fmt.Sprintf("learned[%d] %s reservedMemoryMiB", i, clip(string(l.Type))), Resources{MemoryMiB: l.ReservedMemory})
	}
	for i, sub := range s.Subnets {
		if sub.ID == "" || sub.FreeAddresses < 0 {
			p.add(fmt.Sprintf("subnets[%d]", i), "%q with %d free addresses", clip(string(sub.ID)), sub.FreeAddresses)
		}
	}
}

// Validate checks that the plan can be executed: it is sealed, every action is whole and
// names its target.
func (p *Plan) Validate() error {
	var bad problems
	if err := p.Cluster.Validate(); err != nil {
		bad = append(bad, err)
	}
	if p.Generation == 0 {
		bad.add("generation", "0; generations count from 1")
	}
	validTime(&bad, "madeAt", p.MadeAt)
	oneOf(&bad, "effort", p.Effort, EffortFast, EffortNormal, EffortHigh)
	if len(p.Actions) > maxActions {
		bad.add("actions", "%d; at most %d", len(p.Actions), maxActions)
		return bad.err()
	}
	for i := range p.Actions {
		p.Actions[i].validate(&bad, fmt.Sprintf("actions[%d]", i))
	}
	for i, c := range p.Closures {
		oneOf(&bad, fmt.Sprintf("closures[%d].verdict", i), c.Verdict, VerdictDone, VerdictFailed, VerdictExpired, VerdictCancelled)
		if c.Action == "" {
			bad.add(fmt.Sprintf("closures[%d].action", i), "is empty")
		}
	}
	if len(bad) == 0 && !p.Sealed() {
		bad.add("id", "%s does not fit the content; the plan was changed after it was made", clip(string(p.ID)))
	}
	return bad.err()
}

func (a *Action) validate(p *problems, at string) {
	oneOf(p, at+".kind", a.Kind, ActionLaunch, ActionDrain, ActionRestore, ActionReap)
	validTime(p, at+".deadline", a.Deadline)
	set := 0
	for kind, present := range map[ActionKind]bool{ //neap:unordered counts only
		ActionLaunch: a.Launch != nil, ActionDrain: a.Drain != nil, ActionRestore: a.Restore != nil, ActionReap: a.Reap != nil,
	} {
		if present {
			set++
			if kind != a.Kind {
				p.add(at, "is a %s and carries a %s", clip(string(a.Kind)), kind)
			}
		}
	}
	if set != 1 {
		p.add(at, "carries %d contents; exactly one", set)
		return
	}
	if l := a.Launch; l != nil {
		oneOf(p, at+".launch.lifecycle", l.Lifecycle, OnDemand, Spot)
		if l.Count < 1 || len(l.Offerings) == 0 {
			p.add(at+".launch", "%d instances of %d offerings; at least one of each", l.Count, len(l.Offerings))
		}
		for _, o := range l.Offerings {
			if o.Type == "" || o.Subnet == "" || o.Lifecycle != l.Lifecycle || o.LaunchSpec != l.Spec.Name {
				p.add(at+".launch.offerings", "%s in subnet %q of launch spec %q does not belong", o.Key(), clip(string(o.Subnet)), clip(string(o.LaunchSpec)))
			}
		}
		return
	}
	if id, _ := a.Target(); id == "" {
		p.add(at+".instance", "is empty")
	}
	if d := a.Drain; d != nil {
		oneOf(p, at+".drain.onTimeout", d.OnTimeout, TimeoutStop, TimeoutRestore)
		if d.ContainerInstance == "" || d.Timeout <= 0 {
			p.add(at+".drain", "container instance %q, timeout %s", clip(string(d.ContainerInstance)), time.Duration(d.Timeout))
		}
	}
	if r := a.Restore; r != nil && r.ContainerInstance == "" {
		p.add(at+".restore.containerInstance", "is empty")
	}
}

// Validate checks that the outcome can be attributed to an action.
func (o *Outcome) Validate() error {
	var p problems
	if err := o.Cluster.Validate(); err != nil {
		p = append(p, err)
	}
	if o.Generation == 0 || o.Action == "" || o.Plan == "" {
		p.add("action", "generation %d, plan %q, action %q: all are needed", o.Generation, clip(string(o.Plan)), clip(string(o.Action)))
	}
	validTime(&p, "at", o.At)
	oneOf(&p, "kind", o.Kind, ActionLaunch, ActionDrain, ActionRestore, ActionReap)
	oneOf(&p, "phase", o.Phase, PhaseIntent, PhaseResult, PhaseFinal)
	classes := []FailureClass{
		FailureNone, FailureUnknown, FailureThrottled, FailureCapacity, FailureQuota,
		FailureInvalid, FailureDenied, FailureStale, FailureTimeout,
	}
	oneOf(&p, "class", o.Class, classes...)
	for i, f := range o.Failures {
		oneOf(&p, fmt.Sprintf("failures[%d].class", i), f.Class, classes...)
	}
	for i, inst := range o.Instances {
		if inst.ID == "" {
			p.add(fmt.Sprintf("instances[%d].id", i), "is empty")
		}
	}
	return p.err()
}

// Validate checks a policy with its defaults filled in (see [Policy.WithDefaults]). Every
// problem names the field, the value and the remedy.
func (p *Policy) Validate() error {
	var bad problems
	if p.APIVersion != PolicyAPIVersion {
		bad.add("apiVersion", "%q is unknown; use %s", clip(p.APIVersion), PolicyAPIVersion)
	}
	if p.Cluster != "" {
		if err := p.Cluster.Validate(); err != nil {
			bad = append(bad, err)
		}
	}
	p.Limits.validate(&bad)
	p.ScaleUp.validate(&bad)
	p.Headroom.validate(&bad, p)
	if v := p.ScaleDown.MaxPercentage; v < 1 || v > 100 {
		bad.add("scaleDown.maxPercentage", "%d; use 1 to 100, 10 is usual", v)
	}
	if v := p.ScaleDown.ReplaceSavings; v < 1 || v > 100 {
		bad.add("scaleDown.replaceSavings", "%d; use 1 to 100 percent, 5 is usual; replace: false switches it off", v)
	}
	for _, d := range [...]struct {
		field    string
		v        Duration
		min, max time.Duration
	}{
		{"scaleDown.stableFor", p.ScaleDown.StableFor, time.Second, 24 * time.Hour},
		{"scaleDown.cooldown", p.ScaleDown.Cooldown, time.Second, 24 * time.Hour},
		{"scaleDown.minLifetime", p.ScaleDown.MinLifetime, time.Second, 30 * 24 * time.Hour},
		{"drain.timeout", p.Drain.Timeout, shortestDrain, longestDrain},
		{"unhealthy.after", p.Unhealthy.After, time.Minute, 24 * time.Hour},
		{"boot.timeout", p.Boot.Timeout, time.Minute, time.Hour},
		{"boot.windowsTimeout", p.Boot.WindowsTimeout, time.Minute, time.Hour},
	} {
		if v := time.Duration(d.v); v < d.min || v > d.max {
			bad.add(d.field, "%s; use %s to %s", v, d.min, d.max)
		}
	}
	oneOf(&bad, "drain.onTimeout", p.Drain.OnTimeout, TimeoutStop, TimeoutRestore)
	p.validateTimes(&bad)
	p.Rolls.validate(&bad, p)
	if len(p.LaunchSpecs) == 0 {
		bad.add("launchSpecs", "none; at least one is needed to launch anything")
	}
	names := map[LaunchSpecName]bool{}
	for i := range p.LaunchSpecs {
		spec := &p.LaunchSpecs[i]
		if names[spec.Name] {
			bad.add(fmt.Sprintf("launchSpecs[%d].name", i), "%q stands twice", clip(string(spec.Name)))
		}
		names[spec.Name] = true
		spec.validate(&bad, fmt.Sprintf("launchSpecs[%d]", i))
	}
	return bad.err()
}

func (l *Limits) validate(p *problems) {
	if l.MaxInstances < 1 {
		p.add("limits.maxInstances", "%d; set the number of instances never to exceed, such as 100", l.MaxInstances)
	}
	if l.MinInstances < 0 || l.MinInstances > l.MaxInstances {
		p.add("limits.minInstances", "%d; use 0 to limits.maxInstances (%d)", l.MinInstances, l.MaxInstances)
	}
	if l.MaxVCPUs < 0 || l.MaxMemoryGiB < 0 || l.LaunchBurst < 0 || l.MaxVCPUs > maxQuantity || l.MaxMemoryGiB > maxQuantity {
		p.add("limits", "maxVCPUs %d, maxMemoryGiB %d, launchBurst %d; use 0 for no limit", l.MaxVCPUs, l.MaxMemoryGiB, l.LaunchBurst)
	}
}

func (u *ScaleUp) validate(p *problems) {
	oneOf(p, "scaleUp.surge", u.Surge, SurgeFull, SurgeProgress)
	for _, d := range [...]struct {
		field    string
		v        Duration
		min, max time.Duration
	}{
		{"scaleUp.giveUpAfter", u.GiveUpAfter, 10 * time.Minute, 30 * 24 * time.Hour},
		{"scaleUp.standaloneFor", u.StandaloneFor, time.Minute, 24 * time.Hour},
		{"scaleUp.cooldown", u.Cooldown, 0, time.Hour},
	} {
		if v := time.Duration(d.v); v < d.min || v > d.max {
			p.add(d.field, "%s; use %s to %s", v, d.min, d.max)
		}
	}
}

func (h *Headroom) validate(p *problems, pol *Policy) {
	validPercentage(p, "headroom.percentage", &h.Percentage)
	validPercentage(p, "headroom.automaticPercentage", &h.AutomaticPercentage)
	for i := range h.Units {
		h.Units[i].validate(p, fmt.Sprintf("headroom.units[%d]", i), pol)
	}
	for i := range h.Schedule {
		h.Schedule[i].validate(p, fmt.Sprintf("headroom.schedule[%d]", i), pol)
	}
}

func (u *HeadroomUnit) validate(p *problems, at string, pol *Policy) {
	validResources(p, at, u.Needs())
	if u.Needs().IsZero() {
		p.add(at, "has no size; set cpuUnits or memoryMiB")
	}
	if u.Count < 1 || u.Count > maxTaskCounts {
		p.add(at+".count", "%d; use 1 or more, or leave the unit out", u.Count)
	}
	if u.LaunchSpec != "" {
		if _, ok := pol.Spec(u.LaunchSpec); !ok {
			p.add(at+".launchSpec", "%q is no launch spec of this policy", clip(string(u.LaunchSpec)))
		}
	}
}

func (l *LaunchSpec) validate(p *problems, at string) {
	if !clusterNamePattern.MatchString(string(l.Name)) {
		p.add(at+".name", "%q; use 1 to 255 letters, digits, '-' or '_'", clip(string(l.Name)))
	}
	if len(l.Subnets) == 0 {
		p.add(at+".subnets", "none; name the subnets to launch in, at least one")
	}
	if t := l.LaunchTemplate; t != nil && (t.ID == "") == (t.Name == "") {
		p.add(at+".launchTemplate", "id %q, name %q; set exactly one", clip(t.ID), clip(t.Name))
	}
	if l.LaunchTemplate == nil && len(l.Images) == 0 {
		p.add(at+".images", "none; name an image ID or an SSM parameter such as /aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id, or a launchTemplate")
	}
	l.validateSystem(p, at)
	if v := l.SpotPercentage; v != nil && (*v < 0 || *v > 100) {
		p.add(at+".spotPercentage", "%d; use 0 to 100", *v)
	}
	if l.MaxInstances < 0 || l.ReservedMemory < 0 {
		p.add(at, "maxInstances %d, reservedMemoryMiB %d; use 0 or more", l.MaxInstances, l.ReservedMemory)
	}
	if l.MaxVCPUs < 0 || l.MaxMemoryGiB < 0 || l.MaxVCPUs > maxQuantity || l.MaxMemoryGiB > maxQuantity {
		p.add(at, "maxVCPUs %d, maxMemoryGiB %d; use 0 for no limit", l.MaxVCPUs, l.MaxMemoryGiB)
	}
	oneOf(p, at+".orientation", l.Orientation, Cheapest, CostOriented, Balanced, AvailabilityFirst)
	validPatterns(p, at+".preferredTypes", l.PreferredTypes)
	const maxUserData = 12 << 10 // EC2 takes 16 KiB; Neap's own lines and base64 need the rest
	if len(l.UserData) > maxUserData {
		p.add(at+".userData", "%d bytes; at most %d, fetch the rest at boot", len(l.UserData), maxUserData)
	}
	const maxAttributes = 6 // ECS allows 10 custom attributes; Neap puts three of its own
	if len(l.Attributes) > maxAttributes {
		p.add(at+".attributes", "%d; at most %d", len(l.Attributes), maxAttributes)
	}
	l.validateRemoval(p, at)
	l.validateMachine(p, at)
	l.Types.validate(p, at+".instanceTypes")
}

// validateSystem checks that all of a launch spec is for the same operating system.
func (l *LaunchSpec) validateSystem(p *problems, at string) {
	oneOf(p, at+".operatingSystem", l.OperatingSystem, "", Linux, Windows)
	for i, image := range l.Images {
		switch named := namesWindows(image); {
		case named && !l.Windows():
			p.add(fmt.Sprintf("%s.images[%d]", at, i), "%q is a Windows image, and operatingSystem is %s; give it a launch spec of its own", clip(image), or(l.OperatingSystem, Linux))
		case !named && l.Windows() && !strings.HasPrefix(image, "ami-"):
			p.add(fmt.Sprintf("%s.images[%d]", at, i), "%q is no Windows image as others of the launch spec; give it a launch spec of its own", clip(image))
		}
	}
	if l.Windows() && l.ENITrunking {
		p.add(at+".eniTrunking", "true; ECS has no trunk interfaces on Windows: leave it out")
	}
}

func (f *TypeFilter) validate(p *problems, at string) {
	validPatterns(p, at, slices.Concat(f.Allow, f.Deny))
	validPatterns(p, at+".families", slices.Concat(f.Families, f.DenyFamilies))
	for _, family := range slices.Concat(f.Families, f.DenyFamilies) {
		if strings.Contains(family, ".") {
			p.add(at+".families", "%q is a type; write the family alone (m7i), or use allow and deny", clip(family))
		}
	}
	for _, a := range f.Architectures {
		oneOf(p, at+".architectures", a, X86, ARM)
	}
	for _, c := range f.Categories {
		oneOf(p, at+".categories", c, Categories()...)
	}
	for _, g := range append([]int64{f.MinGeneration}, f.Generations...) {
		if g < 0 || g > 99 {
			p.add(at+".generations", "%d; write the number in the name of a family, such as 7", g)
		}
	}
	oneOf(p, at+".localDisks", f.LocalDisks, "", DisksAny, DisksRequired, DisksExcluded)
	if f.LocalDisks == DisksExcluded && f.MinDiskGiB > 0 {
		p.add(at+".minDiskGiB", "%d, and localDisks is excluded; drop one of the two", f.MinDiskGiB)
	}
	for _, r := range [...]struct {
		name     string
		min, max int64
	}{
		{"VCPUs", f.MinVCPUs, f.MaxVCPUs},
		{"MemoryGiB", f.MinMemoryGiB, f.MaxMemoryGiB},
		{"GPUs", f.MinGPUs, f.MaxGPUs},
		{"ENIs", f.MinENIs, 0},
		{"DiskGiB", f.MinDiskGiB, 0},
		{"NetworkGbps", f.MinNetwork, f.MaxNetwork},
	} {
		if r.min < 0 || r.max < 0 || (r.max > 0 && r.min > r.max) {
			p.add(at, "min%s %d, max%s %d; the least must not exceed the most", r.name, r.min, r.name, r.max)
		}
	}
	const dearest = 1e6 // dollars per hour: far beyond any type; NaN is within no bounds
	if !(f.MinPrice >= 0 && f.MaxPrice >= 0 && f.MinPrice <= dearest && f.MaxPrice <= dearest) || f.MaxPrice > 0 && f.MinPrice > f.MaxPrice {
		p.add(at, "minPrice %v, maxPrice %v; use dollars per hour, the least not above the most", f.MinPrice, f.MaxPrice)
	}
}

func validPatterns(p *problems, field string, patterns []string) {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || strings.TrimSpace(pattern) == "" {
			p.add(field, "pattern %q; write a name (m7i.large, m7i) or a pattern (m7i.*, m7*)", clip(pattern))
		}
	}
}

func validTime(p *problems, field string, t time.Time) {
	if t.IsZero() || t.Year() < 2000 || t.Year() > 2200 {
		p.add(field, "%s is no plausible time", t)
	}
}

func validResources(p *problems, field string, r Resources) {
	if r.Negative() || tooLarge(r) {
		p.add(field, "%+v is negative or beyond any instance", r)
	}
}

func tooLarge(r Resources) bool {
	for _, v := range [...]int64{r.CPUUnits, r.MemoryMiB, r.GPUs, r.ENIs} {
		if v > maxQuantity || v < -maxQuantity {
			return true
		}
	}
	return false
}

func validPorts(p *problems, field string, ports Ports) {
	if len(ports) > maxPort {
		p.add(field, "%d ports; there are %d", len(ports), maxPort)
		return
	}
	for i, port := range ports {
		if port.Protocol != TCP && port.Protocol != UDP || port.Number == 0 {
			p.add(field, "%q", port)
		}
		if i > 0 && comparePorts(ports[i-1], port) >= 0 {
			p.add(field, "%s and %s are not in order", ports[i-1], port)
		}
	}
}

func validGroup(p *problems, field string, index, groups int) {
	if index < 0 || index >= groups {
		p.add(field, "index %d of %d task groups", index, groups)
	}
}

func validCount(p *problems, field string, n int) {
	if n < 0 || n > maxTaskCounts {
		p.add(field, "%d is no number of tasks", n)
	}
}
