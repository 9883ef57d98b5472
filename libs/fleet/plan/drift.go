package plan

import (
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// drift is what is asked of every instance, found once per launch spec.
type drift struct {
	prints map[fleet.LaunchSpecName]string        // fingerprints
	images map[fleet.LaunchSpecName][]fleet.Image // that it would launch now
}

// findDrift reads what each launch spec would launch now.
func (d *draft) findDrift() {
	if d.drift.prints != nil {
		return
	}
	d.drift = drift{prints: map[fleet.LaunchSpecName]string{}, images: map[fleet.LaunchSpecName][]fleet.Image{}}
	for i := range d.pol.LaunchSpecs {
		spec := &d.pol.LaunchSpecs[i]
		if known, err := spec.Fingerprint(); err == nil {
			d.drift.prints[spec.Name] = known
		}
		for _, parameter := range spec.Images {
			d.drift.images[spec.Name] = append(d.drift.images[spec.Name], d.market.image(parameter))
		}
	}
}

// driftOf says in what an instance of ours differs from what its launch spec would launch
// now, "" if in nothing that can be known: an image that was not resolved, the one of a
// launch template, or what an instance without a fingerprint was launched from. An instance
// whose launch spec is gone cannot be launched like it any more; it has drifted altogether.
// O(images of the launch spec).
func (d *draft) driftOf(inst *fleet.Instance) string {
	if inst.Owner == "" || inst.LaunchSpec == "" {
		return ""
	}
	now, known := d.drift.prints[inst.LaunchSpec]
	if !known {
		return "the policy has no launch spec " + string(inst.LaunchSpec) + " any more"
	}
	parts := fleet.Differences(inst.Spec, now)
	for _, image := range d.drift.images[inst.LaunchSpec] {
		if image.Architecture == inst.Architecture && image.ID != "" && inst.Image != "" && image.ID != inst.Image {
			parts = append(parts, "image "+string(inst.Image)+", now "+string(image.ID))
		}
	}
	return strings.Join(parts, ", ")
}

// reportDrift counts what has drifted, and says of each such instance in what.
func (d *draft) reportDrift() {
	d.findDrift()
	remedy := "\"neap roll start --drifted\" replaces it"
	if d.pol.Rolls.Drift == fleet.DriftAuto {
		remedy = "the policy has it replaced"
	}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if d.states[i] == gone {
			continue
		}
		if what := d.driftOf(inst); what != "" {
			d.out.Summary.Drifted++
			if _, of := slices.BinarySearch(d.rolling.Batch, inst.ID); !of {
				d.because(fleet.ReasonDrifted, instanceSubject(inst), "what", what, "remedy", remedy)
			}
		}
	}
}
