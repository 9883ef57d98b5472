package sim_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// randomPolicy makes a policy that may be asked of anybody.
func (l *loop) randomPolicy() {
	r := l.rng
	no := false
	spot := pick(r, 0, 0, 30, 50, 100)
	spec := fleet.LaunchSpec{Name: "default", Images: []string{imageParameter}, SpotPercentage: &spot}
	for _, s := range must(l.w.DescribeSubnets(&sim.DescribeSubnetsInput{}))(l.t).Subnets {
		spec.Subnets = append(spec.Subnets, fleet.SubnetID(s.SubnetID))
	}
	if r.IntN(2) == 0 {
		spec.Types.Allow = []string{pick(r, "m7i.*", "c7i.*", "*.large", "*.xlarge", "m7i.xlarge")}
	}
	l.pol = fleet.Policy{
		DryRun: &no, LaunchSpecs: []fleet.LaunchSpec{spec},
		Limits: fleet.Limits{MaxInstances: mostHosts, MinInstances: pick(r, 0, 0, 1, 3)},
		ScaleDown: fleet.ScaleDown{
			MaxPercentage: pick(r, 10, 20, 34), StableFor: fleet.Duration(pick(r, 2, 3, 5)) * fleet.Duration(time.Minute),
			Cooldown: fleet.Duration(pick(r, 1, 2, 3)) * fleet.Duration(time.Minute), MinLifetime: fleet.Duration(pick(r, 3, 5, 10)) * fleet.Duration(time.Minute),
		},
	}
	if r.IntN(3) == 0 {
		fast := fleet.LaunchSpec{Name: "fast", Attributes: map[string]string{"disk": "nvme"}}
		fast.Types.Allow = []string{"c6i.*"}
		l.pol.LaunchSpecs = append(l.pol.LaunchSpecs, fast)
	}
	for range r.IntN(3) {
		u := fleet.HeadroomUnit{CPUUnits: pick[int64](r, 256, 512, 1024), MemoryMiB: pick[int64](r, 256, 512, 1024, 2048), Count: 1 + r.IntN(4)}
		if len(l.pol.LaunchSpecs) > 1 && r.IntN(4) == 0 {
			u.LaunchSpec = "fast"
		}
		l.pol.Headroom.Units = append(l.pol.Headroom.Units, u)
	}
	if r.IntN(5) == 0 {
		l.pol.Headroom.Percentage = 10
	}
	p := l.pol.WithDefaults()
	if err := p.Validate(); err != nil && !strings.Contains(err.Error(), "cluster") {
		l.t.Fatal(err)
	}
}

// strangers are instances that are not ours, in some stories.
func (l *loop) strangers() {
	if l.rng.IntN(4) == 0 {
		l.unowned = 1 + l.rng.IntN(2)
		l.run("launch m7i.large count %d", l.unowned)
	}
}

// randomWorld makes services, and instances that are not ours.
func (l *loop) randomWorld() {
	r := l.rng
	l.run("cluster web")
	l.strangers()
	if r.IntN(2) == 0 {
		l.run("task agent cpu %d memory %d", pick(r, 64, 128, 256), pick(r, 64, 128, 256))
		l.run("service agent task agent daemon")
		l.services = append(l.services, randomService{name: "agent", daemon: true})
	}
	for i := range 1 + r.IntN(5) {
		s := randomService{name: fmt.Sprintf("s%d", i), highest: 20}
		line := ""
		task := fmt.Sprintf("task %s cpu %d memory %d", s.name, pick(r, 0, 128, 256, 256, 512, 1024), pick(r, 128, 256, 512, 512, 1024, 2048))
		if r.IntN(6) == 0 {
			task += fmt.Sprintf(" port %d", 8000+i)
			s.highest = 6
		}
		if r.IntN(6) == 0 {
			line += " distinct"
			s.highest = 6
		}
		if spot := *l.pol.LaunchSpecs[0].SpotPercentage; r.IntN(4) == 0 {
			kind := "on-demand"
			if spot > 0 && r.IntN(2) == 0 {
				kind = "spot"
			}
			if kind == "spot" || spot < 100 {
				line += fmt.Sprintf(" constraint 'attribute:%s == %s'", fleet.AttributeLifecycle, kind)
			}
		} else if len(l.pol.LaunchSpecs) > 1 && r.IntN(3) == 0 {
			line += " constraint 'attribute:disk == nvme'"
		}
		if r.IntN(8) == 0 && i > 0 {
			line += fmt.Sprintf(" constraint 'not(task:group == service:s%d)'", i-1)
			s.highest = 6
		}
		switch r.IntN(4) {
		case 0:
			line += " strategy spread:attribute:ecs.availability-zone strategy spread:instanceId"
		case 1:
			line += " strategy binpack:memory"
		case 2:
			line += " strategy spread:attribute:ecs.availability-zone strategy binpack:cpu"
		}
		if percent := pick(r, "", "", " min 50 max 150", " min 0 max 100", " min 50 max 200", " min 100 max 150"); percent != "" {
			line += percent
		}
		if r.IntN(12) == 0 {
			line += " tag neap.dev/restrict-scale-down=true"
			l.restricted = true
		}
		s.desired = r.IntN(s.highest + 1)
		l.run("%s", task)
		l.run("service %s task %s desired %d%s", s.name, s.name, s.desired, line)
		l.services = append(l.services, s)
	}
}
