package watcher

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// How long what changes slowly is used.
const (
	networkEvery = time.Minute      // free addresses change with every launch; image parameters are seldom moved
	networkKept  = 15 * time.Minute // an older one is none: subnets may be full by now
)

// sweep reads everything that goes into one snapshot. What could not be read is marked as
// such in its section. An error means that there is nothing to publish: no such cluster
// ([fleet.ErrNotFound]), or not one section of it could be read.
func (w *Watcher) sweep(ctx context.Context, s *site) (snapshot.Input, error) {
	in := snapshot.Input{Cluster: s.cluster, Region: w.account.Region(), Generation: w.bus.Generation()}
	if err := s.identify(ctx, w); err != nil {
		return in, err
	}
	policy := s.lastGoodPolicy()
	in.Account, in.RestrictTags, in.Learned = s.account, policy.Attributes.RestrictTags, s.learned

	var errs [4]error
	in.ContainerInstances, errs[0] = w.reader.ContainerInstances(ctx, s.cluster)
	if errors.Is(errs[0], fleet.ErrNotFound) {
		return in, errs[0]
	}
	var g errgroup.Group
	g.Go(func() error {
		in.EC2, errs[1] = w.reader.EC2(ctx, s.cluster, in.ContainerInstances.Instances)
		return nil
	})
	g.Go(func() error {
		in.Services, errs[2] = w.reader.Services(ctx, s.cluster)
		in.Tasks, errs[3] = w.reader.Tasks(ctx, s.cluster, in.Services.Services)
		return nil
	})
	_ = g.Wait() // the errors are in errs: one section must not stop the others
	if ctx.Err() != nil {
		return in, ctx.Err()
	}
	if !slices.Contains(errs[:], nil) {
		return in, errs[0]
	}
	disown(in.EC2.Instances, w.cfg.Installation)
	in.Network = w.network(ctx, s, policy, in.Services.Services)
	in.Catalogue = w.catalogue.current(zonesOf(policy, in.Network), systemOf(policy))
	in.Notices = w.notices.of(s.cluster, in.EC2, w.store.notices(ctx))
	in.Refused = w.refused(ctx, s, policy, &in.Tasks)
	in.Impaired = w.impaired(ctx, s)
	in.Protections = w.protections(ctx, s)
	return in, nil
}

// systemOf is Windows if any launch spec is: then its prices are needed as well.
func systemOf(policy fleet.Policy) fleet.OperatingSystem {
	if policy.HasWindows() {
		return fleet.Windows
	}
	return fleet.Linux
}

// identify finds out, once, which account the cluster is in.
func (s *site) identify(ctx context.Context, w *Watcher) error {
	if s.account != "" {
		return nil
	}
	about, err := w.reader.Cluster(ctx, s.cluster)
	if err != nil {
		return err
	}
	s.account = about.Account
	return nil
}

// disown takes the marks of other installations off their instances: to this one they are
// capacity that somebody else looks after.
func disown(instances []snapshot.EC2Instance, installation string) {
	for i := range instances {
		inst := &instances[i]
		foreign := slices.ContainsFunc(inst.Tags, func(t snapshot.Tag) bool { return t.Key == fleet.TagOwner && t.Value != installation })
		if foreign {
			inst.Tags = slices.DeleteFunc(inst.Tags, func(t snapshot.Tag) bool {
				switch t.Key {
				case fleet.TagOwner, fleet.TagLaunchSpec, fleet.TagAction, fleet.TagPlan, fleet.TagDrain:
					return true
				}
				return false
			})
		}
	}
}

// network returns the subnets and images that the policy and the services name: read a
// while ago, if they still name the same.
func (w *Watcher) network(ctx context.Context, s *site, policy fleet.Policy, services []snapshot.Service) snapshot.Network {
	subnets, images := wanted(policy, services)
	names := strings.Join(subnets, ",") + ";" + strings.Join(images, ",")
	if names == s.networkNames && time.Now().Before(s.networkDue) {
		return s.network
	}
	read, err := w.reader.Network(ctx, subnets, images)
	lastGood := names == s.networkNames && s.network.Complete && time.Since(s.networkRead) < networkKept
	if err != nil && lastGood && !errors.Is(err, fleet.ErrNotFound) {
		if s.changed("network", "kept") {
			w.proc.Log.WarnContext(ctx, "subnets and images not read, the last ones are used", "cluster", s.cluster, "err", err)
		}
		return s.network
	}
	s.changed("network", "")
	s.network, s.networkNames, s.networkRead = read, names, time.Now()
	s.networkDue = s.networkRead.Add(jittered(networkEvery))
	if err != nil {
		s.networkDue = time.Time{} // at the next beat again
	}
	return read
}

// zonesOf lists the zones of the subnets that the policy launches in.
func zonesOf(policy fleet.Policy, network snapshot.Network) []string {
	zones := map[string]bool{}
	for _, subnet := range network.Subnets {
		named := slices.ContainsFunc(policy.LaunchSpecs, func(spec fleet.LaunchSpec) bool {
			return slices.Contains(spec.Subnets, fleet.SubnetID(subnet.ID))
		})
		if named && subnet.Zone != "" {
			zones[subnet.Zone] = true
		}
	}
	return slices.Sorted(maps.Keys(zones))
}

// wanted lists the subnets and images to read, each once and in order.
func wanted(policy fleet.Policy, services []snapshot.Service) (subnets, images []string) {
	subnetSet, imageSet := map[string]bool{}, map[string]bool{}
	for i := range policy.LaunchSpecs {
		for _, id := range policy.LaunchSpecs[i].Subnets {
			subnetSet[string(id)] = true
		}
		for _, image := range policy.LaunchSpecs[i].Images {
			imageSet[image] = true
		}
	}
	for i := range services {
		for _, id := range services[i].Subnets {
			subnetSet[id] = true
		}
		for _, d := range slices.Concat(services[i].Deployments, services[i].TaskSets) {
			for _, id := range d.Subnets {
				subnetSet[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(subnetSet)), slices.Sorted(maps.Keys(imageSet))
}

// protections are the instances that a person has told Neap to keep. If they cannot be
// read the last ones hold: to forget one might cost an instance.
func (w *Watcher) protections(ctx context.Context, s *site) []snapshot.Protection {
	protected, err := w.bus.Control().Protected(ctx, s.cluster)
	if err != nil {
		if s.changed("protections", "unread") {
			w.proc.Log.WarnContext(ctx, "protections not read, the last ones hold", "cluster", s.cluster, "err", err)
		}
		return s.protections
	}
	s.changed("protections", "")
	s.protections = nil
	for _, id := range slices.Sorted(maps.Keys(protected)) {
		s.protections = append(s.protections, snapshot.Protection{Instance: id, Why: protected[id]})
	}
	return s.protections
}

// jittered is a duration give or take a tenth, so that replicas do not keep step.
func jittered(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5) }
