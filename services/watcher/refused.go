package watcher

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Bounds of what is remembered of refusals.
const (
	// refusedKept is as long as a policy may ask for it.
	refusedKept = 24 * time.Hour
	// mostAsks of one cluster: each is some hundred bytes. Beyond it the oldest are dropped.
	mostAsks = 500
	// mostSeen is how many events of one ask are known again when they come twice.
	mostSeen = 64
	// atOnce: like calls within it are many that run side by side, those further apart are
	// one that tries again. It is also how far the time of a call in CloudTrail, which has
	// whole seconds, may lie before what came of it.
	atOnce = 2 * time.Second
)

// refusals are the standalone tasks that ECS would not start for lack of room, by cluster
// and by what was asked for. ECS says it once, keeps no queue, and cannot be asked.
type refusals struct {
	mu    sync.Mutex
	asks  map[fleet.ClusterName]map[string]*ask
	names map[string]named           // task definitions that were named otherwise than by ARN
	ready map[fleet.ClusterName]bool // what others had heard before this one began to listen was taken over
}

// named is what the name of a task definition stood for a moment ago.
type named struct {
	arn string // empty: nothing
	at  time.Time
}

// nameKept is how long a family stands for the revision that it stood for: a burst of calls
// names the same one, and the answer costs a call each time.
const nameKept = time.Minute

func newRefusals() *refusals {
	return &refusals{asks: map[fleet.ClusterName]map[string]*ask{}, names: map[string]named{}, ready: map[fleet.ClusterName]bool{}}
}

// ask is one thing that was asked for and refused, however often.
type ask struct {
	snapshot.Refused           // Count: the most that was refused at once
	Last             time.Time `json:"last"` // refusal
	Begun            time.Time `json:"begun"`
	Burst            int       `json:"burst"` // tasks refused since it began, within atOnce
	Seen             []string  `json:"seen,omitempty"`
	Started          []string  `json:"started,omitempty"` // like tasks that were started since
}

// post takes a refusal in and reports whether it is news.
func (r *refusals) post(cluster fleet.ClusterName, refusal *cloud.Refusal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asks[cluster] == nil {
		r.asks[cluster] = map[string]*ask{}
	}
	at := refusal.Since
	a := r.asks[cluster][refusal.Ask]
	if a == nil {
		a = &ask{Refused: refusal.Refused, Last: at, Begun: at}
		a.Count = 0
		r.asks[cluster][refusal.Ask] = a
		r.forget(cluster, at)
	}
	if slices.Contains(a.Seen, refusal.ID) {
		return false
	}
	a.Seen = append(a.Seen, refusal.ID)
	a.Seen = a.Seen[max(0, len(a.Seen)-mostSeen):]
	if at.Sub(a.Begun).Abs() >= atOnce {
		if at.Before(a.Begun) {
			return false // an event that comes late says nothing new
		}
		a.Begun, a.Burst = at, 0
	}
	a.Burst += refusal.Count
	if len(a.Started) >= a.Count && at.Sub(a.Last) >= atOnce {
		a.Count, a.Started, a.Since = 0, nil, at // it was answered, and is asked for anew
	}
	a.Count = max(a.Count, a.Burst)
	if at.After(a.Last) {
		a.Last = at
	}
	return true
}

// forget drops what is too old, and the oldest of too many.
func (r *refusals) forget(cluster fleet.ClusterName, now time.Time) {
	asks := r.asks[cluster]
	maps.DeleteFunc(asks, func(_ string, a *ask) bool { return now.Sub(a.Last) > refusedKept })
	if len(asks) <= mostAsks {
		return
	}
	keys := slices.SortedFunc(maps.Keys(asks), func(x, y string) int {
		return cmp.Or(asks[x].Last.Compare(asks[y].Last), cmp.Compare(x, y))
	})
	for _, key := range keys[:len(asks)-mostAsks] {
		delete(asks, key)
	}
}

// started notes that a standalone task has an instance: it is what one ask waited for. It
// reports whether that was news.
func (r *refusals) started(cluster fleet.ClusterName, id string, like *snapshot.Refused, created time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := snapshot.Task{TaskDefinition: like.TaskDefinition, Group: like.Group, Overrides: like.Overrides, CreatedAt: created}
	return answer(r.asks[cluster], id, &t)
}

// answer lets a task answer the oldest ask that it can be the answer to.
func answer(asks map[string]*ask, id string, t *snapshot.Task) bool {
	var oldest *ask
	for _, key := range slices.Sorted(maps.Keys(asks)) {
		a := asks[key]
		switch {
		case slices.Contains(a.Started, id):
			return false
		case !a.Like(t), len(a.Started) >= a.Count, t.CreatedAt.Sub(a.Last) < atOnce:
		case oldest == nil, a.Last.Before(oldest.Last):
			oldest = a
		}
	}
	if oldest == nil {
		return false
	}
	oldest.Started = append(oldest.Started, id)
	return true
}

// of returns what of a cluster was refused within keep and not started since. What another
// replica has heard is added; the tasks of the sweep are those that run now.
func (r *refusals) of(cluster fleet.ClusterName, heard map[string]*ask, tasks []snapshot.Task, keep time.Duration, now time.Time) []snapshot.Refused {
	asks := r.merged(cluster, heard)
	maps.DeleteFunc(asks, func(_ string, a *ask) bool { return now.Sub(a.Last) > keep })
	if len(asks) == 0 {
		return nil
	}
	running := slices.SortedFunc(func(yield func(*snapshot.Task) bool) {
		for i := range tasks {
			t := &tasks[i]
			if t.ContainerInstance != "" && !strings.HasPrefix(t.Group, "service:") && !yield(t) {
				return
			}
		}
	}, func(a, b *snapshot.Task) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ARN, b.ARN))
	})
	for _, t := range running {
		answer(asks, t.ARN[strings.LastIndexByte(t.ARN, '/')+1:], t)
	}
	var out []snapshot.Refused
	for _, key := range slices.Sorted(maps.Keys(asks)) {
		a := asks[key]
		if left := a.Count - len(a.Started); left > 0 {
			refused := a.Refused
			refused.Count = left
			out = append(out, refused)
		}
	}
	return out
}

// merged returns copies of the asks of a cluster, of those that two replicas know the newer.
func (r *refusals) merged(cluster fleet.ClusterName, heard map[string]*ask) map[string]*ask {
	r.mu.Lock()
	defer r.mu.Unlock()
	asks := map[string]*ask{}
	for _, known := range [...]map[string]*ask{r.asks[cluster], heard} {
		for key, a := range known {
			if a == nil {
				continue
			}
			if mine := asks[key]; mine == nil || a.Last.After(mine.Last) || a.Last.Equal(mine.Last) && len(a.Started) > len(mine.Started) {
				c := *a
				c.Started = slices.Clone(a.Started)
				asks[key] = &c
			}
		}
	}
	return asks
}

// listen begins to listen: what others have heard meanwhile is to be taken over.
func (r *refusals) listen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.ready)
}

// takeOver takes over what another replica has heard of a cluster, once.
func (r *refusals) takeOver(cluster fleet.ClusterName, heard func() map[string]*ask) {
	r.mu.Lock()
	ready := r.ready[cluster]
	r.mu.Unlock()
	if ready {
		return
	}
	asks := r.merged(cluster, heard())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready[cluster] = true
	if len(asks) > 0 {
		r.asks[cluster] = asks
	}
}

// hearRefusal takes in what an event says of standalone tasks, and leaves it for the other
// replicas in the cache. An error means that the event has to come again.
func (w *Watcher) hearRefusal(ctx context.Context, e *cloud.Event) error {
	if e.Refusal == nil && e.Started == nil || !w.knowsCluster(e.Cluster) {
		return nil
	}
	w.refusals.takeOver(e.Cluster, func() map[string]*ask { return w.store.refusals(ctx, e.Cluster) })
	news := false
	if e.Started != nil {
		news = w.refusals.started(e.Cluster, e.Task, e.Started, e.Created)
	}
	if e.Refusal != nil {
		arn, err := w.definitionARN(ctx, e.Refusal.TaskDefinition)
		if err != nil || arn == "" {
			return err // or nobody can run that
		}
		refusal := *e.Refusal
		refusal.TaskDefinition = arn
		news = w.refusals.post(e.Cluster, &refusal) || news
	}
	if news {
		w.store.keepRefusals(ctx, e.Cluster, w.refusals.merged(e.Cluster, nil))
	}
	return nil
}

// definitionARN is the ARN of the revision that a call of RunTask means; "" if there is none.
func (w *Watcher) definitionARN(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "arn:") && strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name, nil
	}
	r := w.refusals
	r.mu.Lock()
	known, ok := r.names[name]
	r.mu.Unlock()
	if ok && time.Since(known.at) < nameKept {
		return known.arn, nil
	}
	d, err := w.reader.Definition(ctx, name)
	if err != nil && !errors.Is(err, fleet.ErrNotFound) && !errors.Is(err, fleet.ErrInvalid) {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.names, func(_ string, n named) bool { return time.Since(n.at) >= nameKept })
	r.names[name] = named{arn: d.ARN, at: time.Now()}
	return d.ARN, nil
}

// refused are the standalone tasks of a cluster that ECS refused, with the definitions that
// the sweep did not read anyway. One whose definition cannot be read is left out: a hint
// must not make the view of the cluster incomplete.
func (w *Watcher) refused(ctx context.Context, s *site, policy fleet.Policy, tasks *snapshot.Tasks) []snapshot.Refused {
	if w.cfg.EventQueue == "" {
		return nil
	}
	refused := w.refusals.of(s.cluster, w.store.refusals(ctx, s.cluster), tasks.Tasks, time.Duration(policy.ScaleUp.StandaloneFor), w.account.Now())
	known := map[string]bool{}
	for i := range tasks.Definitions {
		known[tasks.Definitions[i].ARN] = true
	}
	var unread []string
	for i := range refused {
		if arn := refused[i].TaskDefinition; !known[arn] {
			known[arn], unread = true, append(unread, arn)
		}
	}
	if len(unread) == 0 {
		return refused
	}
	found, err := w.reader.Definitions(ctx, unread)
	if err != nil && s.changed("refused", "unread") {
		w.proc.Log.WarnContext(ctx, "task definition of a refused task not read, it does not count", "cluster", s.cluster, "err", err)
	} else if err == nil {
		s.changed("refused", "")
	}
	tasks.Definitions = append(tasks.Definitions, found...)
	return refused
}
