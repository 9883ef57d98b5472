package watcher

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// How long things are cached.
const (
	definitionKept = 7 * 24 * time.Hour  // a revision never changes; one that is not used for a week is not missed
	learnedKept    = 60 * 24 * time.Hour // a type may not run for weeks and then be the cheapest again
	noticesKept    = 6 * time.Hour
	detailKept     = 15 * time.Minute // as long as the snapshot itself
)

// store keeps in Redis what is slow to read again, and what people ask for. Nothing depends
// on it. Its keys:
//
//	taskdef:<ARN>                              snapshot.TaskDefinition
//	catalogue:<region>:<part>:<date>           what EC2 sells, by the part and the day it was read
//	learned:<cluster key>                      []fleet.Learned: what instances register
//	notices                                    notices of EC2, by instance
//	refused:<cluster key>                      standalone tasks that ECS refused, by what was asked for
//	snapshot:<cluster key>                     Summary
//	tasks:<cluster key>:<container instance>   []snapshot.Task that it runs; "waiting" for those without one
type store struct{ cache *cache.Cache }

// SummaryKey is where the [Summary] of a cluster's latest snapshot is cached.
func SummaryKey(cluster fleet.ClusterName) string { return "snapshot:" + cluster.Key() }

// TasksKey is where the tasks of a container instance are cached, those that wait for one
// under [WaitingTasks].
func TasksKey(cluster fleet.ClusterName, instance fleet.ContainerInstanceID) string {
	return "tasks:" + cluster.Key() + ":" + string(instance)
}

// WaitingTasks stands for the container instance of tasks that have none.
const WaitingTasks fleet.ContainerInstanceID = "waiting"

// Summary is a snapshot in figures, for people.
type Summary struct {
	Cluster       fleet.ClusterName            `json:"cluster"`
	Generation    uint64                       `json:"generation"`
	ReadStartedAt time.Time                    `json:"readStartedAt"`
	TakenAt       time.Time                    `json:"takenAt"`
	Sections      []fleet.Section              `json:"sections"`
	Instances     map[fleet.InstanceStatus]int `json:"instances"`
	Services      int                          `json:"services"`
	TasksRunning  int                          `json:"tasksRunning"`
	TasksPending  int                          `json:"tasksPending"`
	TasksDesired  int                          `json:"tasksDesired"` // of REPLICA services
}

// Definitions returns the task definitions it has, by ARN.
func (s *store) Definitions(ctx context.Context, arns []string) map[string]snapshot.TaskDefinition {
	keys := make([]string, len(arns))
	for i, arn := range arns {
		keys[i] = definitionKey(arn)
	}
	found := map[string]snapshot.TaskDefinition{}
	for _, d := range cache.GetMany[snapshot.TaskDefinition](ctx, s.cache, keys) {
		found[d.ARN] = d
	}
	return found
}

// KeepDefinitions takes task definitions in, by ARN.
func (s *store) KeepDefinitions(ctx context.Context, found map[string]snapshot.TaskDefinition) {
	values := make(map[string]snapshot.TaskDefinition, len(found))
	for arn, d := range found {
		values[definitionKey(arn)] = d
	}
	cache.SetMany(ctx, s.cache, values, definitionKept)
}

func definitionKey(arn string) string { return "taskdef:" + arn }

func (s *store) learned(ctx context.Context, cluster fleet.ClusterName) []fleet.Learned {
	learned, _ := cache.Get[[]fleet.Learned](ctx, s.cache, "learned:"+cluster.Key())
	return learned
}

func (s *store) notices(ctx context.Context) map[fleet.InstanceID]fleet.Notice {
	heard, _ := cache.Get[map[fleet.InstanceID]fleet.Notice](ctx, s.cache, "notices")
	return heard
}

func (s *store) keepNotices(ctx context.Context, all map[fleet.InstanceID]fleet.Notice) {
	cache.Set(ctx, s.cache, "notices", all, noticesKept)
}

func (s *store) refusals(ctx context.Context, cluster fleet.ClusterName) map[string]*ask {
	heard, _ := cache.Get[map[string]*ask](ctx, s.cache, "refused:"+cluster.Key())
	return heard
}

func (s *store) keepRefusals(ctx context.Context, cluster fleet.ClusterName, asks map[string]*ask) {
	cache.Set(ctx, s.cache, "refused:"+cluster.Key(), asks, refusedKept)
}

// keep writes what a snapshot taught and what people may ask about it.
func (s *store) keep(ctx context.Context, of *site, snap *fleet.Snapshot, tasks []snapshot.Task) {
	cache.Set(ctx, s.cache, SummaryKey(of.cluster), summarize(snap), detailKept)
	if of.news("learned", snap.Learned) {
		cache.Set(ctx, s.cache, "learned:"+of.cluster.Key(), snap.Learned, learnedKept)
	}
	groups, changed := byInstance(of.cluster, tasks), map[string][]snapshot.Task{}
	for key, group := range groups {
		if of.news(key, group) {
			changed[key] = group
		}
	}
	cache.SetMany(ctx, s.cache, changed, detailKept)
	maps.DeleteFunc(of.detail, func(key, _ string) bool { return groups[key] == nil && key != "learned" })
}

// byInstance shares the tasks out to the keys under which they are cached. An instance
// whose tasks have all ended has no key: what is cached of it expires.
func byInstance(cluster fleet.ClusterName, tasks []snapshot.Task) map[string][]snapshot.Task {
	groups := map[string][]snapshot.Task{TasksKey(cluster, WaitingTasks): {}}
	for i := range tasks {
		instance := WaitingTasks
		if arn := tasks[i].ContainerInstance; arn != "" {
			instance = fleet.ContainerInstanceID(arn[strings.LastIndexByte(arn, '/')+1:])
		}
		key := TasksKey(cluster, instance)
		groups[key] = append(groups[key], tasks[i])
	}
	return groups
}

// news reports whether a value differs from the one of that key before, or that one is
// about to expire.
func (s *site) news(key string, v any) bool {
	b, err := json.Marshal(v)
	if err != nil {
		return false
	}
	// A new period makes it news again, well before what was written has expired.
	period := time.Now().Truncate(detailKept / 3).Format(time.RFC3339)
	digest := fleet.Digest(b) + period
	if s.detail[key] == digest {
		return false
	}
	s.detail[key] = digest
	return true
}

func summarize(snap *fleet.Snapshot) Summary {
	sum := Summary{
		Cluster: snap.Cluster, Generation: snap.Generation, ReadStartedAt: snap.ReadStartedAt, TakenAt: snap.TakenAt,
		Sections: snap.Sections, Instances: map[fleet.InstanceStatus]int{}, Services: len(snap.Services),
	}
	for i := range snap.Instances {
		sum.Instances[snap.Instances[i].Status]++
	}
	for i := range snap.Tasks {
		sum.TasksRunning += snap.Tasks[i].Running
		sum.TasksPending += snap.Tasks[i].Pending
	}
	for i := range snap.Waiting {
		sum.TasksPending += snap.Waiting[i].Count
	}
	for i := range snap.Services {
		if snap.Services[i].Scheduling == fleet.Replica {
			sum.TasksDesired += snap.Services[i].Desired
		}
	}
	return sum
}
