package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
)

// protectFlags are what protect and unprotect share.
type protectFlags struct {
	natsFlags
	Cluster fleet.ClusterName `help:"ECS cluster; needed where the installation serves several." placeholder:"NAME"`
	Output  string            `help:"How to print: text or json." enum:"text,json" default:"text" short:"o"`
}

// protection is one protected instance, for people and for other programs.
type protection struct {
	Cluster  fleet.ClusterName `json:"cluster"`
	Instance fleet.InstanceID  `json:"instance"`
	bus.Protection
}

type protectCmd struct {
	protectFlags
	Instance fleet.InstanceID `arg:"" optional:"" help:"EC2 instance ID; without one the protected instances are listed." placeholder:"INSTANCE"`
	Why      string           `help:"Reason, for the record and for your colleagues." placeholder:"TEXT"`
	For      time.Duration    `help:"How long, such as 90m or 48h; without it until somebody unprotects it." placeholder:"TIME"`
}

// Help shows examples.
func (*protectCmd) Help() string {
	return "Neap does not remove a protected instance of its own will, and gives up a drain of it that has begun. ECS goes on placing tasks on it, and what AWS takes is drained all the same. To keep the tasks of a service or task definition wherever they run, tag that.\n\nExamples:\n  neap protect i-0123456789abcdef0 --why 'looking at its disk'\n  neap protect i-0123456789abcdef0 --cluster web --for 2h --why 'load test'\n  neap protect    # which instances are protected, by whom and why"
}

// Run protects an instance, or lists those that are.
func (p *protectCmd) Run(ctx context.Context, c console) error {
	switch {
	case p.Instance == "" && (p.Why != "" || p.For != 0):
		return fmt.Errorf("%w: INSTANCE: not given; say which instance to protect, such as i-0123456789abcdef0", fleet.ErrInvalid)
	case p.Instance != "" && strings.TrimSpace(p.Why) == "":
		return fmt.Errorf("%w: --why: not given; say for what reason %s is to be kept", fleet.ErrInvalid, p.Instance)
	case p.For < 0:
		return fmt.Errorf("%w: --for %s: write how long from now, such as 2h", fleet.ErrInvalid, p.For)
	}
	return p.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		cluster, err := clusterOr(ctx, b, p.Cluster)
		if err != nil {
			return err
		}
		if p.Instance == "" {
			return p.list(ctx, c, b, cluster)
		}
		one := protection{Cluster: cluster, Instance: p.Instance, Protection: bus.Protection{By: who(), Why: p.Why, At: time.Now().UTC()}}
		if p.For > 0 {
			one.Until = one.At.Add(p.For).Truncate(time.Second)
		}
		if err := b.Control().Protect(ctx, cluster, p.Instance, one.Protection); err != nil {
			return err
		}
		if !known(ctx, b, cluster, p.Instance) {
			fmt.Fprintf(c.err, "neap: the last view of cluster %s has no instance %s; it is protected if it appears there\n", cluster, p.Instance)
		}
		if p.Output == "json" {
			return writeJSON(c.out, one)
		}
		_, err = fmt.Fprintf(c.out, "instance %s of cluster %s: protected (%s)\n", p.Instance, cluster, one.Protection)
		return err
	})
}

// known reports whether an instance is in the newest snapshot of a cluster. Where there is
// no snapshot nothing can be said against it.
func known(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName, id fleet.InstanceID) bool {
	snap, _, err := b.LatestSnapshot(ctx, cluster)
	return err != nil || slices.ContainsFunc(snap.Instances, func(inst fleet.Instance) bool { return inst.ID == id })
}

func (p *protectCmd) list(ctx context.Context, c console, b *bus.Bus, cluster fleet.ClusterName) error {
	list, err := protections(ctx, b, cluster)
	if err != nil {
		return err
	}
	if p.Output == "json" {
		return writeJSON(c.out, list)
	}
	if len(list) == 0 {
		_, err = fmt.Fprintf(c.out, "No instance of cluster %s is protected.\n", cluster)
		return err
	}
	for _, one := range list {
		fmt.Fprintf(c.out, "%s  %s\n", one.Instance, one.Protection)
	}
	return nil
}

// protections lists the protected instances of a cluster.
func protections(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) ([]protection, error) {
	protected, err := b.Control().Protections(ctx, cluster)
	if err != nil {
		return nil, err
	}
	list := make([]protection, 0, len(protected))
	for id, p := range protected {
		list = append(list, protection{Cluster: cluster, Instance: id, Protection: p})
	}
	slices.SortFunc(list, func(a, b protection) int { return cmp.Compare(a.Instance, b.Instance) })
	return list, nil
}

type unprotectCmd struct {
	protectFlags
	Instance fleet.InstanceID `arg:"" help:"EC2 instance ID." placeholder:"INSTANCE"`
}

// Help shows examples.
func (*unprotectCmd) Help() string {
	return "EC2's own termination protection, tags and ECS's task protection are not touched.\n\nExamples:\n  neap unprotect i-0123456789abcdef0\n  neap unprotect i-0123456789abcdef0 --cluster web -o json"
}

// Run undoes protect.
func (u *unprotectCmd) Run(ctx context.Context, c console) error {
	return u.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		cluster, err := clusterOr(ctx, b, u.Cluster)
		if err != nil {
			return err
		}
		before, err := b.Control().Protections(ctx, cluster)
		if err != nil {
			return err
		}
		if err := b.Control().Unprotect(ctx, cluster, u.Instance); err != nil {
			return err
		}
		_, was := before[u.Instance]
		if u.Output == "json" {
			return writeJSON(c.out, map[string]any{"cluster": cluster, "instance": u.Instance, "wasProtected": was})
		}
		word := "no longer protected"
		if !was {
			word = "was not protected"
		}
		_, err = fmt.Fprintf(c.out, "instance %s of cluster %s: %s\n", u.Instance, cluster, word)
		return err
	})
}
