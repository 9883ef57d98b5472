package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

type explainServiceCmd struct {
	Name string `arg:"" help:"ECS service, or the group of standalone tasks such as family:migrate." placeholder:"NAME"`
	evidenceFlags
}

// Help shows examples.
func (*explainServiceCmd) Help() string {
	return `Tells what the service wants and lacks, for its waiting tasks what every instance refuses them for,
which offerings were considered and what ruled them out, and what is being launched. It decides on
the newest snapshot, with the policy in force and what past launches taught, as the planner does.

Examples:
  neap explain service web
  neap explain service web --cluster prod --output json
  neap explain service web --snapshot web.json --policy policy.yaml`
}

// serviceExplained is everything the command shows.
type serviceExplained struct {
	Cluster  fleet.ClusterName   `json:"cluster"`
	Service  string              `json:"service"`
	At       time.Time           `json:"at"`
	Policy   string              `json:"policy"`
	Desired  int                 `json:"desired"`
	Running  int                 `json:"running"`
	Starting int                 `json:"starting"`
	Demand   []fleet.UnmetDemand `json:"demand"`
	Groups   []groupExplained    `json:"groups"`
	Launches []launchWords       `json:"launches"`
	Reasons  []fleet.Reason      `json:"reasons"` // what else was decided about it
}

// groupExplained tells for tasks of one kind where they can and cannot go.
type groupExplained struct {
	Task        string          `json:"task"`
	Needs       fleet.Resources `json:"needs"`
	Ports       fleet.Ports     `json:"ports,omitempty"`
	Constraints []string        `json:"constraints,omitempty"`
	Distinct    bool            `json:"distinctInstance,omitempty"`
	Instances   int             `json:"instances"`
	Eligible    int             `json:"eligible"` // instances that would take one now
	RuledOut    []ruledOut      `json:"ruledOut"`
}

// ruledOut is a number of instances that refuse a task for the same reason.
type ruledOut struct {
	Instances int              `json:"instances"`
	Because   string           `json:"because"` // the filter of ECS, and the clause of an expression
	Nearest   fleet.InstanceID `json:"nearest"` // the one that lacks least
	Detail    string           `json:"detail"`
	lack      float64
}

// Run explains one service.
func (x *explainServiceCmd) Run(ctx context.Context, c console) error {
	e, err := x.gather(ctx, c)
	if err != nil {
		return err
	}
	got, err := e.service(x.Name)
	if err != nil {
		return err
	}
	if x.Output == "json" {
		return writeJSON(c.out, got)
	}
	var b bytes.Buffer
	got.print(&b)
	writeTrimmed(c.out, &b)
	return nil
}

// service gathers what is known of a service or of a group of standalone tasks.
func (e *evidence) service(name string) (*serviceExplained, error) {
	group := strings.TrimPrefix(name, "service/")
	if !strings.Contains(group, ":") {
		group = "service:" + group
	}
	got := &serviceExplained{
		Cluster: e.snap.Cluster, Service: strings.TrimPrefix(group, "service:"), At: e.snap.TakenAt, Policy: e.source,
		Demand: []fleet.UnmetDemand{}, Groups: []groupExplained{}, Launches: []launchWords{}, Reasons: []fleet.Reason{},
	}
	groups, known := e.groupsOf(group)
	if !known {
		return nil, fmt.Errorf("%w: cluster %s has no service %.80q; it has %s", fleet.ErrNotFound, e.snap.Cluster, name, cmp.Or(some(e.services()), "none"))
	}
	for i := range e.snap.Services {
		if svc := &e.snap.Services[i]; "service:"+string(svc.Name) == group {
			got.Desired = svc.Desired
			for _, d := range svc.Deployments {
				got.Running += d.Running
				got.Starting += d.Pending
			}
		}
	}
	for _, d := range e.plan.Demand {
		if d.Group == group {
			got.Demand = append(got.Demand, d)
		}
	}
	cluster, tasks, _ := place.FromSnapshot(&e.snap) // a group that cannot be understood is refused everywhere, and says so
	for _, g := range groups {
		got.Groups = append(got.Groups, e.group(cluster, tasks[g], g))
	}
	e.launchesFor(got, groups)
	subject := "task/" + group
	if service, ok := strings.CutPrefix(group, "service:"); ok {
		subject = "service/" + service
	}
	for _, r := range e.plan.Reasons {
		if r.Subject == subject {
			got.Reasons = append(got.Reasons, r)
		}
	}
	return got, nil
}

// groupsOf lists the kinds of tasks that the service starts: those of its deployments, and
// those that wait.
func (e *evidence) groupsOf(group string) (groups []int, known bool) {
	for i := range e.snap.Services {
		if svc := &e.snap.Services[i]; "service:"+string(svc.Name) == group {
			known = true
			for _, d := range svc.Deployments {
				if d.Primary || d.Rollout == "" {
					groups = append(groups, d.Group)
				}
			}
		}
	}
	for _, w := range e.snap.Waiting {
		if e.snap.TaskGroups[w.Group].Group == group {
			known = true
			groups = append(groups, w.Group)
		}
	}
	if !known {
		for i := range e.snap.TaskGroups {
			if e.snap.TaskGroups[i].Group == group {
				known = true
				groups = append(groups, i)
			}
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), known
}

func (e *evidence) services() []fleet.ServiceName {
	var list []fleet.ServiceName
	for i := range e.snap.Services {
		list = append(list, e.snap.Services[i].Name)
	}
	return list
}

// group asks every instance about a task.
func (e *evidence) group(cluster *place.Cluster, t *place.Task, at int) groupExplained {
	g := &e.snap.TaskGroups[at]
	x := groupExplained{
		Task: place.Name(g), Needs: g.Needs, Ports: g.Ports, Constraints: g.Constraints, Distinct: g.Distinct,
		Instances: len(e.snap.Instances), RuledOut: []ruledOut{},
	}
	known := map[string]int{}
	for i := range e.snap.Instances {
		r, ok := cluster.Eligible(i, t)
		if ok {
			x.Eligible++
			continue
		}
		inst := &e.snap.Instances[i]
		one := ruledOut{Instances: 1, Because: string(r.Kind), Nearest: inst.ID, Detail: r.Detail}
		switch {
		case r.Clause != "":
			one.Because += " " + r.Clause
		case r.Kind == place.KindAgent:
			one.Because, one.Detail = "not active", e.inactive(inst)
		}
		n, _ := cluster.Node(i)
		one.lack = max(lacking(t.Needs.CPUUnits, n.Free.CPUUnits), lacking(t.Needs.MemoryMiB, n.Free.MemoryMiB), lacking(t.Needs.GPUs, n.Free.GPUs))
		k, seen := known[one.Because]
		if !seen {
			known[one.Because] = len(x.RuledOut)
			x.RuledOut = append(x.RuledOut, one)
			continue
		}
		same := &x.RuledOut[k]
		one.Instances += same.Instances
		if one.lack >= same.lack {
			one.Nearest, one.Detail, one.lack = same.Nearest, same.Detail, same.lack
		}
		*same = one
	}
	slices.SortStableFunc(x.RuledOut, func(a, b ruledOut) int {
		return cmp.Or(cmp.Compare(b.Instances, a.Instances), cmp.Compare(a.Because, b.Because))
	})
	return x
}

// inactive says why ECS places nothing on an instance.
func (e *evidence) inactive(inst *fleet.Instance) string {
	if inst.Status == fleet.StatusActive {
		return "its agent is not connected"
	}
	return "it is " + string(inst.Status)
}

// launchesFor finds what is being launched for tasks of these kinds: the launches that are
// under way, and those that are decided now.
func (e *evidence) launchesFor(got *serviceExplained, groups []int) {
	for i := range e.launches {
		l := &e.launches[i]
		holds := slices.ContainsFunc(l.action.Launch.For, func(c fleet.Carried) bool {
			return slices.ContainsFunc(groups, func(g int) bool { return c.What == place.Name(&e.snap.TaskGroups[g]) })
		})
		if holds && (!l.decided || e.open(l.action.ID)) {
			got.Launches = append(got.Launches, e.words(l))
		}
	}
}

func (x *serviceExplained) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "Service %s in cluster %s at %s: %s wanted, %d running, %d starting\n",
		x.Service, x.Cluster, x.At.UTC().Format(time.RFC3339), count(x.Desired, "task"), x.Running, x.Starting)
	fmt.Fprintf(b, "Policy: %s\n", x.Policy)
	if len(x.Demand) == 0 {
		fmt.Fprint(b, "\nNo task of it waits for room.\n")
	}
	for i := range x.Demand {
		d := &x.Demand[i]
		fmt.Fprintf(b, "\n%d waiting (%s so far): %d fit now, %d launched for, %d without a place\n",
			d.Count, ago(x.At.Sub(d.Since)), d.FitNow, d.Launched, d.Unplaced)
		fmt.Fprintf(b, "  %s\n", d.Reason)
		rulings(b, "  ", "WHAT RULES OFFERINGS OUT", d.Reason.Considered)
	}
	for i := range x.Groups {
		x.Groups[i].print(b, len(x.Demand) > 0)
	}
	if len(x.Launches) > 0 {
		fmt.Fprint(b, "\nLAUNCHED FOR IT\n")
	}
	for i := range x.Launches {
		x.Launches[i].print(b)
	}
	if len(x.Reasons) > 0 {
		fmt.Fprint(b, "\nWHAT ELSE WAS DECIDED ABOUT IT\n")
	}
	for _, r := range x.Reasons {
		fmt.Fprintf(b, "  %s\n", r)
	}
}

func (x *groupExplained) print(b *bytes.Buffer, waits bool) {
	fmt.Fprintf(b, "\nA task of %s needs %s", x.Task, x.Needs)
	for _, p := range x.Ports {
		fmt.Fprintf(b, ", host port %s", p)
	}
	if x.Distinct {
		fmt.Fprint(b, ", an instance without another of its group")
	}
	for _, c := range x.Constraints {
		fmt.Fprintf(b, ", memberOf %s", c)
	}
	fmt.Fprintf(b, "\n  %d of %s would take one now\n", x.Eligible, count(x.Instances, "instance"))
	if !waits || len(x.RuledOut) == 0 {
		return
	}
	t := newTable(b, "REFUSED BY", "BECAUSE", "NEAREST", "WHAT IS IN THE WAY")
	for _, r := range x.RuledOut {
		t.row(count(r.Instances, "instance"), r.Because, string(r.Nearest), r.Detail)
	}
	t.end()
}
