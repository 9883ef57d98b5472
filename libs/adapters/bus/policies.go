package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// maxPolicySource bounds the text that is kept with a policy, comments and all.
const maxPolicySource = 256 << 10

// PolicyRevision is a policy as somebody applied it.
type PolicyRevision struct {
	Cluster  fleet.ClusterName
	Policy   fleet.Policy // with its defaults filled in
	Source   []byte       // the YAML text, as it was written
	Revision uint64
	At       time.Time
}

// storedPolicy is the stored form. The policy is kept without defaults, so that better
// defaults reach those who did not choose.
type storedPolicy struct {
	Policy fleet.Policy `json:"policy"`
	Source string       `json:"source,omitempty"`
}

func policyKey(cluster fleet.ClusterName) (string, error) {
	return keyPolicy + "." + cluster.Key(), cluster.Validate()
}

// ApplyPolicy makes a policy the one of a cluster and returns its revision. source is the
// text it was read from, for people. A policy that is not valid, or meant for another
// cluster, is refused and the last good one stays. The last 64 revisions are kept.
func (c *Control) ApplyPolicy(ctx context.Context, cluster fleet.ClusterName, p fleet.Policy, source []byte) (uint64, error) {
	key, err := policyKey(cluster)
	if err != nil {
		return 0, err
	}
	if p.Cluster != "" && p.Cluster != cluster {
		return 0, fmt.Errorf("%w: policy for cluster %q applied to %q: change its cluster field, or apply it to the cluster it names", fleet.ErrInvalid, p.Cluster, cluster)
	}
	if len(source) > maxPolicySource {
		return 0, fmt.Errorf("%w: policy text of %d bytes; at most %d", fleet.ErrInvalid, len(source), maxPolicySource)
	}
	filled := p.WithDefaults()
	if err := filled.Validate(); err != nil {
		return 0, fmt.Errorf("policy of %s: %w", cluster, err)
	}
	value, err := json.Marshal(storedPolicy{Policy: p, Source: string(source)})
	if err != nil {
		return 0, fmt.Errorf("policy of %s: %w", cluster, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	revision, err := c.kv.Put(ctx, key, value)
	return revision, wrap(unsure(err), "apply policy of %s", cluster)
}

// Policy reads the policy of a cluster, with its defaults filled in, and its revision.
// [fleet.ErrNotFound]: the cluster has none, hence Neap leaves it alone.
func (c *Control) Policy(ctx context.Context, cluster fleet.ClusterName) (fleet.Policy, uint64, error) {
	r, err := c.PolicySource(ctx, cluster)
	return r.Policy, r.Revision, err
}

// PolicySource reads the policy of a cluster with the text it was written in.
func (c *Control) PolicySource(ctx context.Context, cluster fleet.ClusterName) (PolicyRevision, error) {
	key, err := policyKey(cluster)
	if err != nil {
		return PolicyRevision{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, err := c.kv.Get(ctx, key)
	if err != nil {
		return PolicyRevision{}, fmt.Errorf("policy of %s: %w", cluster, translate(err))
	}
	return policyOf(e)
}

// PolicyHistory reads the revisions of a cluster's policy that are kept, oldest first.
func (c *Control) PolicyHistory(ctx context.Context, cluster fleet.ClusterName) ([]PolicyRevision, error) {
	key, err := policyKey(cluster)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	entries, err := c.kv.History(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("policies of %s: %w", cluster, translate(err))
	}
	var revisions []PolicyRevision
	for _, e := range entries {
		if e.Operation() != jetstream.KeyValuePut {
			continue
		}
		r, err := policyOf(e)
		if err != nil {
			return nil, err
		}
		revisions = append(revisions, r)
	}
	return revisions, nil
}

// RemovePolicy takes a cluster out of Neap's hands; its history is kept. A cluster without
// a policy is no error.
func (c *Control) RemovePolicy(ctx context.Context, cluster fleet.ClusterName) error {
	key, err := policyKey(cluster)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return wrap(unsure(c.kv.Delete(ctx, key)), "remove policy of %s", cluster)
}

// Clusters lists the clusters that have a policy, sorted.
func (c *Control) Clusters(ctx context.Context) ([]fleet.ClusterName, error) {
	var names []fleet.ClusterName
	err := c.list(ctx, keyPolicy+".*", func(e jetstream.KeyValueEntry) {
		if name, err := clusterOfPolicy(e.Key()); err == nil {
			names = append(names, name)
		}
	})
	slices.Sort(names)
	return names, wrap(err, "list the clusters that have a policy")
}

// PolicyChange is a policy that was applied or removed.
type PolicyChange struct {
	PolicyRevision
	Removed bool
	Err     error // the stored policy cannot be read by this build: keep the last good one
}

// WatchPolicies calls f with every policy there is and then with every change. It returns
// nil when ctx ends, or the error of f.
func (c *Control) WatchPolicies(ctx context.Context, f func(context.Context, PolicyChange) error) error {
	err := watchPolicies(ctx, c.kv, func(p *PolicyChange) error {
		if p == nil {
			return nil
		}
		return f(ctx, *p)
	})
	if ended(ctx) {
		return nil
	}
	return err
}

// watchPolicies calls f with every policy there is, then once with nil, then with every
// change.
func watchPolicies(ctx context.Context, kv jetstream.KeyValue, f func(*PolicyChange) error) error {
	return watch(ctx, kv, keyPolicy+".*", func(e jetstream.KeyValueEntry) error {
		if e == nil {
			return f(nil)
		}
		name, err := clusterOfPolicy(e.Key())
		if err != nil {
			return nil //nolint:nilerr // a key that no release has written is nobody's policy
		}
		if e.Operation() != jetstream.KeyValuePut {
			return f(&PolicyChange{PolicyRevision: PolicyRevision{Cluster: name, Revision: e.Revision(), At: e.Created()}, Removed: true})
		}
		r, err := policyOf(e)
		return f(&PolicyChange{PolicyRevision: r, Err: err})
	})
}

func clusterOfPolicy(key string) (fleet.ClusterName, error) {
	return fleet.ClusterFromKey(strings.TrimPrefix(key, keyPolicy+"."))
}

// policyOf reads a stored policy. What is wrong with it comes with the revision, so that
// it can be named.
func policyOf(e jetstream.KeyValueEntry) (PolicyRevision, error) {
	r := PolicyRevision{Revision: e.Revision(), At: e.Created()}
	var err error
	if r.Cluster, err = clusterOfPolicy(e.Key()); err != nil {
		return r, err
	}
	var s storedPolicy
	if err := json.Unmarshal(e.Value(), &s); err != nil {
		if !errors.Is(err, fleet.ErrInvalid) {
			err = fmt.Errorf("%w: %w", fleet.ErrInvalid, err)
		}
		return r, fmt.Errorf("policy %d of %s: %w", r.Revision, r.Cluster, err)
	}
	r.Policy, r.Source = s.Policy.WithDefaults(), []byte(s.Source)
	if err := r.Policy.Validate(); err != nil {
		return r, fmt.Errorf("policy %d of %s: %w; apply a valid one", r.Revision, r.Cluster, err)
	}
	return r, nil
}
