package plan

import (
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// holdFlaps takes back launches for headroom alone that would bring back what was removed a
// moment ago: it was removed because the headroom did not need it, and so it can do without
// for as long as an instance is kept at least. Each removal holds one instance that is no
// larger. Tasks that wait are launched for at once, whatever was removed.
func (d *draft) holdFlaps() {
	if len(d.mem.Removed) == 0 || len(d.fresh) == 0 {
		return
	}
	wait := time.Duration(d.pol.ScaleDown.MinLifetime)
	var recent []fleet.Removed
	for _, r := range d.mem.Removed {
		if d.now.Sub(r.At) < wait && !d.stayed(r.Instance) {
			recent = append(recent, r)
		}
	}
	for i := range d.fresh {
		f := &d.fresh[i]
		if f.later != forHeadroom {
			continue
		}
		for f.count > 0 {
			o := &d.market.offers[f.offer]
			x := slices.IndexFunc(recent, func(r fleet.Removed) bool {
				was, known := d.market.types[r.Type]
				return known && was.VCPUs >= o.typ.VCPUs && was.MemoryMiB >= o.typ.MemoryMiB && was.GPUs >= o.typ.GPUs
			})
			if x < 0 {
				break
			}
			d.cut(f, 1, fleet.Because(fleet.ReasonFlap, "", "type", recent[x].Type, "age", ago(d.now.Sub(recent[x].At)), "wait", ago(wait)))
			recent = slices.Delete(recent, x, x+1)
		}
	}
}

// stayed reports whether an instance that was to be removed is here still and takes tasks:
// its drain was refused or undone.
func (d *draft) stayed(id fleet.InstanceID) bool {
	i := slices.IndexFunc(d.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == id })
	return i >= 0 && d.states[i] == active
}
