package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// report is a plan with the snapshot it was made on, for people.
type report struct {
	snap   *fleet.Snapshot
	policy *fleet.Policy
	plan   *fleet.Plan
	source string // where the policy came from
	notes  []string
	all    bool // every instance and service, not only those with something to say
	width  int  // of the terminal; 0 is unlimited
}

// mostRows bounds each table of a report unless all was asked for: a person reads the
// first screen.
const mostRows = 25

// mostRulings bounds what is told of the candidates of one decision.
const mostRulings = 4

// write prints the report: what the cluster is, what waits, what would be done, and why
// everything else stays.
func (r *report) write(w io.Writer) error {
	var b bytes.Buffer
	r.head(&b)
	r.demand(&b)
	r.actions(&b)
	r.instances(&b)
	r.foot(&b)
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, r.clip(strings.TrimRight(line, " \n"))); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) clip(line string) string {
	if r.width <= 0 || len([]rune(line)) <= r.width {
		return line
	}
	return string([]rune(line)[:r.width-1]) + "…"
}

func (r *report) head(b *bytes.Buffer) {
	s := &r.plan.Summary
	fmt.Fprintf(b, "Cluster %s in %s: %s, %s, %s\n", r.snap.Cluster, r.snap.Region,
		count(s.Instances, "instance"), count(s.TasksRunning, "task"), s.Cost)
	fmt.Fprintf(b, "Policy: %s\n", r.source)
	for _, note := range r.notes {
		fmt.Fprintf(b, "Note: %s\n", note)
	}
	for _, sec := range r.snap.Sections {
		if !sec.Complete {
			fmt.Fprintf(b, "Not all was readable: %s: %s\n", sec.Name, sec.Problem)
		} else if sec.Problem != "" {
			fmt.Fprintf(b, "Note: %s: %s\n", sec.Name, sec.Problem)
		}
	}
}

func (r *report) demand(b *bytes.Buffer) {
	if len(r.plan.Demand) == 0 {
		fmt.Fprint(b, "\nEvery service has the tasks it wants.\n")
		return
	}
	fmt.Fprint(b, "\nWAITING FOR ROOM\n")
	t := newTable(b, "SERVICE OR TASK", "WAITING", "FIT NOW", "LAUNCHED FOR", "NO PLACE", "WHY")
	for _, d := range r.top(len(r.plan.Demand)) {
		d := r.plan.Demand[d]
		t.row(strings.TrimPrefix(d.Group, "service:"), d.Count, d.FitNow, d.Launched, d.Unplaced, d.Reason.String())
		for _, ruling := range d.Reason.Considered[:min(len(d.Reason.Considered), mostRulings)] {
			t.row("", "", "", "", "", "  "+ruling.Candidate+": "+ruling.Verdict)
		}
	}
	t.end()
	r.more(b, len(r.plan.Demand))
}

func (r *report) actions(b *bytes.Buffer) {
	if len(r.plan.Actions) == 0 {
		fmt.Fprint(b, "\nNothing to do.\n")
	} else {
		verb := "WOULD DO"
		if !r.plan.DryRun {
			verb = "WILL DO"
		}
		fmt.Fprintf(b, "\n%s\n", verb)
		t := newTable(b, "", "WHAT", "COST", "BECAUSE")
		for i := range r.plan.Actions {
			a := &r.plan.Actions[i]
			t.row(string(a.Kind), r.what(a), change(a.Reason.Cost), a.Reason.String())
			if a.Launch != nil {
				t.row("", "  each holds "+carried(a.Launch.For), "", alternatives(a.Launch))
			}
			for _, ruling := range a.Reason.Considered[:min(len(a.Reason.Considered), mostRulings)] {
				t.row("", "  considered "+ruling.Candidate, ruling.Cost, ruling.Verdict)
			}
		}
		t.end()
	}
	for _, reason := range r.plan.Reasons {
		if kind, _, _ := strings.Cut(reason.Subject, "/"); kind != "instance" && kind != "service" {
			fmt.Fprintf(b, "  %s: %s\n", cmp.Or(reason.Subject, "cluster"), reason)
		}
	}
}

// what names the object of an action.
func (r *report) what(a *fleet.Action) string {
	if l := a.Launch; l != nil {
		first := &l.Offerings[0]
		return fmt.Sprintf("%d × %s %s in %s, launch spec %s", l.Count, first.Type, l.Lifecycle, zones(l.Offerings), l.Spec.Name)
	}
	id, _ := a.Target()
	if inst := r.instance(id); inst != nil {
		return fmt.Sprintf("%s %s %s in %s", id, inst.Type, inst.Lifecycle, inst.Zone)
	}
	return string(id)
}

func (r *report) instance(id fleet.InstanceID) *fleet.Instance {
	for i := range r.snap.Instances {
		if r.snap.Instances[i].ID == id {
			return &r.snap.Instances[i]
		}
	}
	return nil
}

// instances tells of each instance how full it is and why it is still here.
func (r *report) instances(b *bytes.Buffer) {
	if len(r.snap.Instances) == 0 {
		return
	}
	why := map[string]string{}
	for _, reason := range r.plan.Reasons {
		if id, ok := strings.CutPrefix(reason.Subject, "instance/"); ok && why[id] == "" {
			why[id] = reason.String()
		}
	}
	for i := range r.plan.Actions {
		if id, ok := r.plan.Actions[i].Target(); ok {
			why[string(id)] = "→ " + string(r.plan.Actions[i].Kind)
		}
	}
	tasks := make([]int, len(r.snap.Instances))
	for _, t := range r.snap.Tasks {
		tasks[t.Instance] += t.Running
	}
	fmt.Fprint(b, "\nINSTANCES\n")
	t := newTable(b, "INSTANCE", "TYPE", "ZONE", "LIFECYCLE", "STATUS", "TASKS", "CPU", "MEMORY", "WHY IT STAYS")
	for _, i := range r.top(len(r.snap.Instances)) {
		inst := &r.snap.Instances[i]
		used := inst.Registered.Sub(inst.Remaining)
		t.row(string(inst.ID), string(inst.Type), string(inst.Zone), string(inst.Lifecycle), string(inst.Status), tasks[i],
			percent(used.CPUUnits, inst.Registered.CPUUnits), percent(used.MemoryMiB, inst.Registered.MemoryMiB), why[string(inst.ID)])
	}
	t.end()
	r.more(b, len(r.snap.Instances))
}

func (r *report) foot(b *bytes.Buffer) {
	s := &r.plan.Summary
	fmt.Fprintf(b, "\nCost now %s, after this plan %s", s.Cost, s.CostAfter)
	if s.HeadroomWanted > 0 {
		fmt.Fprintf(b, "; headroom %d of %d units", s.HeadroomPresent, s.HeadroomWanted)
	}
	if s.TasksUnplaced > 0 {
		fmt.Fprintf(b, "; %s without a place", count(s.TasksUnplaced, "task"))
	}
	fmt.Fprintln(b)
}

// top is the indices of the rows that are shown.
func (r *report) top(rows int) []int {
	if !r.all {
		rows = min(rows, mostRows)
	}
	list := make([]int, rows)
	for i := range list {
		list[i] = i
	}
	return list
}

func (r *report) more(b *bytes.Buffer, rows int) {
	if !r.all && rows > mostRows {
		fmt.Fprintf(b, "  … and %d more (--all shows them)\n", rows-mostRows)
	}
}

// table prints aligned columns, two spaces apart.
type table struct{ w *tabwriter.Writer }

func newTable(b *bytes.Buffer, columns ...string) table {
	t := table{tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t.w, "  "+strings.Join(columns, "\t"))
	return t
}

func (t table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, cell := range cells {
		// Names come from AWS and may hold anything; a cell stays one cell.
		text[i] = strings.Map(printable, fmt.Sprint(cell))
	}
	fmt.Fprintln(t.w, "  "+strings.Join(text, "\t"))
}

func (t table) end() { _ = t.w.Flush() } // a bytes.Buffer does not fail

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '·'
	}
	return r
}

func zones(offerings []fleet.Offering) string {
	var list []string
	for i := range offerings {
		list = append(list, string(offerings[i].Zone))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}

// alternatives names the other types that EC2 may pick.
func alternatives(l *fleet.Launch) string {
	var types []string
	for i := range l.Offerings {
		if t := string(l.Offerings[i].Type); t != string(l.Offerings[0].Type) && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		return ""
	}
	return "or, if EC2 has none: " + strings.Join(types, ", ")
}

func carried(list []fleet.Carried) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, fmt.Sprintf("%d × %s", c.Count, c.What))
	}
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

func change(p fleet.Price) string {
	switch {
	case p > 0:
		return "+" + p.String()
	case p < 0:
		return "−" + (-p).String()
	}
	return ""
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "–"
	}
	return fmt.Sprintf("%d %%", part*100/whole)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ago rounds an age for people.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
