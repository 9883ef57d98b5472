package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// What is remembered of services from plan to plan.
const (
	mostSeen    = 200            // services: a plan is one message, and the rest neither grows nor fails
	grownHalf   = 24 * time.Hour // after which a task that a service grew by counts half
	fewCrashes  = 3              // the least and the most failures at which the circuit breaker
	mostCrashes = 200            // of ECS gives a deployment up; between them half the desired count
)

// seen is what memory knows of a service.
func (d *draft) seen(name fleet.ServiceName) fleet.SeenService {
	i, ok := slices.BinarySearchFunc(d.mem.Services, name, func(s fleet.SeenService, name fleet.ServiceName) int {
		return cmp.Compare(s.Service, name)
	})
	if !ok {
		return fleet.SeenService{Service: name}
	}
	return d.mem.Services[i]
}

// crashes is how many tasks of a deployment failed although they had room. ECS counts a
// task that it cannot place as failed too; such failures say nothing about the task, and so
// only those count that came while everything that was missing had a place.
func (d *draft) crashes(svc *fleet.Service, dep *fleet.Deployment) int {
	known := d.seen(svc.Name)
	if known.Deployment != dep.ID || dep.Failed < known.Failed {
		return 0
	}
	if known.HadRoom {
		return known.Crashed + dep.Failed - known.Failed
	}
	return known.Crashed
}

// crashing reports whether the tasks of a service fail for another reason than a want of
// room, so often that ECS would give the deployment up. More room would not help them.
func (d *draft) crashing(svc *fleet.Service) (failed int, ok bool) {
	for i := range svc.Deployments {
		if dep := &svc.Deployments[i]; dep.Primary && dep.Failed > 0 {
			failed = d.crashes(svc, dep)
			return failed, failed >= min(max((svc.Desired+1)/2, fewCrashes), mostCrashes)
		}
	}
	return 0, false
}

// grown is by how many tasks a service scaled out, half of it for each day that has passed,
// and when it was halved last.
func (d *draft) grown(svc *fleet.Service) (tasks int, halvedAt time.Time) {
	known := d.seen(svc.Name)
	tasks, halvedAt = known.Grown, known.HalvedAt
	if tasks > 0 {
		days := min(max(int(d.now.Sub(halvedAt)/grownHalf), 0), 31) // nothing is left of any count after these
		tasks >>= days
		halvedAt = halvedAt.Add(time.Duration(days) * grownHalf)
	}
	if i, known := slices.BinarySearchFunc(d.mem.Services, svc.Name, func(s fleet.SeenService, name fleet.ServiceName) int {
		return cmp.Compare(s.Service, name)
	}); known && svc.Desired > d.mem.Services[i].Desired {
		if tasks == 0 {
			halvedAt = d.now
		}
		tasks += svc.Desired - d.mem.Services[i].Desired
	}
	if tasks == 0 {
		return 0, time.Time{}
	}
	return tasks, halvedAt
}

// noteServices writes down what the next plan has to know of services: of those that fail,
// that grow, that wait, and of the largest.
func (d *draft) noteServices() {
	hungry := map[string]bool{} // what waits, and what of it has no room yet
	for _, w := range d.demand {
		name := d.snap.TaskGroups[w.group].Group
		hungry[name] = hungry[name] || w.left() > 0 || w.launched > 0 || w.fitSoon > 0
	}
	type ranked struct {
		fleet.SeenService
		waits bool
	}
	var list []ranked
	for i := range d.snap.Services {
		svc := &d.snap.Services[i]
		if svc.Scheduling == fleet.Daemon {
			continue
		}
		s := ranked{SeenService: fleet.SeenService{Service: svc.Name, Desired: svc.Desired}}
		s.Grown, s.HalvedAt = d.grown(svc)
		lacks, waits := hungry["service:"+string(svc.Name)]
		lacks = lacks || d.down != nil // what leaves its instance has nowhere to go
		s.waits = waits
		for j := range svc.Deployments {
			if dep := &svc.Deployments[j]; dep.Primary && dep.Failed > 0 {
				s.Deployment, s.Failed, s.Crashed, s.HadRoom = dep.ID, dep.Failed, d.crashes(svc, dep), !lacks
			}
		}
		list = append(list, s)
	}
	if len(list) > mostSeen {
		rank := func(b bool) int {
			if b {
				return 0
			}
			return 1
		}
		slices.SortFunc(list, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(rank(a.Failed > 0), rank(b.Failed > 0)), cmp.Compare(b.Grown, a.Grown),
				cmp.Compare(rank(a.waits), rank(b.waits)), cmp.Compare(b.Desired, a.Desired), cmp.Compare(a.Service, b.Service))
		})
		list = list[:mostSeen]
	}
	for _, s := range list {
		d.out.Services = append(d.out.Services, s.SeenService)
	}
	slices.SortFunc(d.out.Services, func(a, b fleet.SeenService) int { return strings.Compare(string(a.Service), string(b.Service)) })
}

// reportDaemons tells of daemon services whose task has no room on an instance that is there: no
// launch helps these, for ECS runs one task of a daemon on each instance and moves no other
// task for it.
func (d *draft) reportDaemons() {
	for _, g := range d.daemons {
		t := d.tasks[g]
		missing, of, first, why := 0, 0, "", ""
		for i := range d.snap.Instances {
			if d.states[i] != active {
				continue
			}
			n, _ := d.cluster.Node(i)
			if d.cluster.Count(i, t.Group) > 0 {
				of++
				continue
			}
			_, taken := t.Ports.Conflict(n.UsedPorts)
			if t.Needs.Fits(n.Free) && !taken {
				continue // its constraints shut it out
			}
			if _, ok := t.AllowedOn(&n); !ok {
				continue
			}
			of++
			if missing++; missing == 1 {
				first, why = n.ID, t.Needs.Shortfall(n.Free)
				if r, _ := d.cluster.Eligible(i, t); why == "" {
					why = r.Detail
				}
			}
		}
		if missing > 0 {
			d.because(fleet.ReasonDaemonUnfit, d.subject(g), "task", d.nameOf(g), "count", missing, "of", of, "instance", first, "why", why)
		}
	}
}
