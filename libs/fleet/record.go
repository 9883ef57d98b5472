package fleet

import "fmt"

// Record is what a plan was made from, whole, so that it can be made again. The digests that the
// plan itself carries say whether a record is the right one: it is evidence, never authority.
type Record struct {
	Plan       PlanID      `json:"plan"`
	Cluster    ClusterName `json:"cluster"`
	Generation uint64      `json:"generation"`
	Snapshot   Snapshot    `json:"snapshot"`
	Policy     Policy      `json:"policy"`
	Memory     Memory      `json:"memory"`
}

// Validate refuses a record that no planner could have written.
func (r *Record) Validate() error {
	var bad problems
	if r.Plan == "" {
		bad.add("plan", "is empty")
	}
	if r.Snapshot.Cluster != r.Cluster {
		bad.add("snapshot.cluster", "%q; the record is of %q", r.Snapshot.Cluster, r.Cluster)
	}
	if r.Snapshot.Generation != r.Generation || r.Memory.Generation != r.Generation {
		bad.add("generation", "%d; that of the snapshot is %d, of the memory %d", r.Generation, r.Snapshot.Generation, r.Memory.Generation)
	}
	if err := r.Snapshot.Validate(); err != nil {
		bad = append(bad, fmt.Errorf("snapshot: %w", err))
	}
	if err := r.Policy.Validate(); err != nil {
		bad = append(bad, fmt.Errorf("policy: %w", err))
	}
	return bad.err()
}
