package fleet_test

import (
	"fmt"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// BenchmarkSnapshot does what happens to every snapshot on its way: of a cluster with
// twenty tasks on each instance, each of another service.
func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		s := largeSnapshot(n)
		message := must(fleet.Encode(&s))
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"canonical", func() error { s.Canonical(); return nil }},
			{"digest", func() error { _, err := s.Digest(); return err }},
			{"validate", s.Validate},
			{"encode", func() error { _, err := fleet.Encode(&s); return err }},
			{"decode", func() error { _, err := fleet.Decode[fleet.Snapshot](message); return err }},
		} {
			b.Run(fmt.Sprintf("%s/instances=%d", step.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := step.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func largeSnapshot(n int) fleet.Snapshot {
	s := exampleSnapshot()
	groups, services, instance := s.TaskGroups[:1], s.Services[:1], s.Instances[0]
	s.TaskGroups, s.Services, s.Instances, s.Tasks, s.Waiting = nil, nil, nil, nil, nil
	for g := range 2 * n / 5 {
		group, service := groups[0], services[0]
		group.Group, service.Name = fmt.Sprintf("service:s%05d", g), fleet.ServiceName(fmt.Sprintf("s%05d", g))
		service.Deployments = []fleet.Deployment{service.Deployments[0]}
		service.Deployments[0].Group = g
		s.TaskGroups, s.Services = append(s.TaskGroups, group), append(s.Services, service)
	}
	for i := range n {
		instance.ID = fleet.InstanceID(fmt.Sprintf("i-%017x", i))
		instance.UsedPorts, instance.Notice = nil, fleet.Notice{}
		s.Instances = append(s.Instances, instance)
		for t := range 20 {
			s.Tasks = append(s.Tasks, fleet.TaskCount{Instance: i, Group: (20*i + t) % len(s.TaskGroups), Running: 1})
		}
	}
	s.Canonical()
	return s
}
