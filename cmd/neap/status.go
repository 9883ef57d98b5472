package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/services/planner"
)

type statusCmd struct {
	natsFlags
	RedisURL string            `name:"redis-url" help:"Redis of the installation; it knows what clusters cost beside the least they could cost." env:"REDIS_URL" placeholder:"URL"`
	Cluster  fleet.ClusterName `help:"Only this ECS cluster." placeholder:"NAME"`
	Output   string            `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
}

// Help shows examples.
func (*statusCmd) Help() string {
	return "Examples:\n  neap status\n  neap status --cluster web --output json\n  neap status --redis-url redis://redis:6379    # with what could be saved at most"
}

// status is everything the command shows.
type status struct {
	Generation uint64          `json:"generation"`
	Processes  []process       `json:"processes"`
	Clusters   []clusterStatus `json:"clusters"`
}

type process struct {
	Service  string    `json:"service"`
	Version  string    `json:"version"`
	Replica  string    `json:"replica"`
	Started  time.Time `json:"started"`
	Requests int       `json:"requests"`
	Errors   int       `json:"errors"`
}

type clusterStatus struct {
	Cluster     fleet.ClusterName `json:"cluster"`
	Paused      *fleet.Pause      `json:"paused,omitempty"`
	DryRun      bool              `json:"dryRun"`
	SnapshotAge string            `json:"snapshotAge,omitempty"`
	LastPlan    *fleet.Plan       `json:"lastPlan,omitempty"`
	Standing    *fleet.Standing   `json:"standing,omitempty"`
	Ratio       float64           `json:"ratio,omitempty"` // of the standing: cost as a multiple of the bound
	Protected   []protection      `json:"protected,omitempty"`
	Drifted     int               `json:"drifted,omitempty"` // instances that are not what their launch spec would launch now
	Roll        *rollStatus       `json:"roll,omitempty"`
	Problem     string            `json:"problem,omitempty"`
}

// Run shows the state of an installation.
func (s *statusCmd) Run(ctx context.Context, c console) error {
	return s.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		got, err := s.gather(ctx, b)
		if err != nil {
			return err
		}
		if s.Output == "json" {
			return writeJSON(c.out, got)
		}
		_, err = c.out.Write(got.table())
		return err
	})
}

func (s *statusCmd) gather(ctx context.Context, b *bus.Bus) (*status, error) {
	got := &status{Generation: b.Generation()}
	peers, err := b.Discover(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		one := process{Service: p.Name, Version: p.Version, Replica: p.Metadata[bus.MetaReplica], Started: p.Started}
		for _, e := range p.Endpoints {
			one.Requests += e.Requests
			one.Errors += e.Errors
		}
		got.Processes = append(got.Processes, one)
	}
	clusters := []fleet.ClusterName{s.Cluster}
	if s.Cluster == "" {
		if clusters, err = b.Control().Clusters(ctx); err != nil {
			return nil, err
		}
	}
	standings, err := s.openStandings(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = standings.Close(context.Background()) }() // it only closes connections
	for _, cluster := range clusters {
		one := lookAt(ctx, b, cluster)
		if st, ok := cache.Get[fleet.Standing](ctx, standings, planner.StandingKey(cluster)); ok {
			one.Standing, one.Ratio = &st, st.Ratio()
		}
		got.Clusters = append(got.Clusters, one)
	}
	return got, nil
}

// openStandings opens the cache in which planners leave what clusters cost beside the least
// they could cost. Without a Redis nothing is in it.
func (s *statusCmd) openStandings(ctx context.Context) (*cache.Cache, error) {
	cfg, err := service.Load[cache.Config]("")
	if err != nil {
		return nil, err
	}
	cfg.URL, cfg.Timeout = s.RedisURL, max(cfg.Timeout, time.Second) // a person can wait so long
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%w: --redis-url: %w", fleet.ErrInvalid, err)
	}
	return cache.Open(ctx, cfg, slog.New(slog.DiscardHandler))
}

// lookAt reads what is known of a cluster; what cannot be read becomes its problem.
func lookAt(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) clusterStatus {
	var problems []error
	one := clusterStatus{Cluster: cluster}
	if pause, err := b.Control().Paused(ctx, cluster); err != nil {
		problems = append(problems, err)
	} else if pause.Paused() {
		one.Paused = &pause
	}
	var err error
	if one.Protected, err = protections(ctx, b, cluster); err != nil {
		problems = append(problems, err)
	}
	policy, _, err := b.Control().Policy(ctx, cluster)
	if err != nil {
		problems = append(problems, err)
	} else {
		one.DryRun = *policy.DryRun
	}
	if _, stored, err := b.LatestSnapshot(ctx, cluster); err != nil {
		problems = append(problems, err)
	} else {
		one.SnapshotAge = ago(time.Since(stored))
	}
	plan, _, ok, err := b.LastPlan(ctx, cluster)
	switch {
	case err != nil:
		problems = append(problems, err)
	case ok:
		one.LastPlan = &plan
	}
	if one.Roll, one.Drifted, err = rollOf(ctx, b, cluster); err != nil && len(problems) == 0 {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		one.Problem = err.Error()
	}
	return one
}

func (s *status) table() []byte {
	var b bytes.Buffer
	if len(s.Processes) == 0 {
		fmt.Fprintln(&b, "No service of Neap answers.")
	} else {
		t := newTable(&b, "SERVICE", "VERSION", "REPLICA", "UP FOR", "REQUESTS", "ERRORS")
		for _, p := range s.Processes {
			t.row(p.Service, p.Version, p.Replica, ago(time.Since(p.Started)), p.Requests, p.Errors)
		}
		t.end()
	}
	if len(s.Clusters) == 0 {
		fmt.Fprintln(&b, "\nNo cluster has a policy. Apply one with: neap policy apply --cluster NAME FILE")
		return b.Bytes()
	}
	fmt.Fprintln(&b)
	t := newTable(&b, "CLUSTER", "MODE", "SEEN", "INSTANCES", "TASKS", "WAITING", "COST", "LAST PLAN THAT CHANGED SOMETHING")
	for _, one := range s.Clusters {
		cells := []any{one.Cluster, one.mode(), "–", "–", "–", "–", "–", "–"}
		if one.SnapshotAge != "" {
			cells[2] = one.SnapshotAge + " ago"
		}
		if p := one.LastPlan; p != nil {
			cells[3], cells[4], cells[5], cells[6] = p.Summary.Instances, p.Summary.TasksRunning, p.Summary.TasksWaiting, p.Summary.Cost
			cells[7] = fmt.Sprintf("%s: %s, %s", p.ID.Short(), p.MadeAt.UTC().Format(time.RFC3339), count(len(p.Actions), "action"))
		}
		t.row(cells...)
		if one.Roll != nil {
			t.row("", "roll: "+one.Roll.String())
		}
		if one.Drifted > 0 {
			t.row("", "drifted: "+count(one.Drifted, "instance")+" would be launched otherwise now; neap roll start --drifted replaces them")
		}
		for _, p := range one.Protected {
			t.row("", "protected: "+string(p.Instance)+": "+p.String())
		}
		if one.Problem != "" {
			t.row("", "problem: "+one.Problem)
		}
	}
	t.end()
	for _, one := range s.Clusters {
		if one.Standing != nil {
			fmt.Fprintf(&b, "\n%s: %s\n", one.Cluster, one.Standing)
		}
	}
	return b.Bytes()
}

func (c *clusterStatus) mode() string {
	switch {
	case c.Paused != nil:
		return fmt.Sprintf("paused by %s: %s", c.Paused.By, c.Paused.Why)
	case c.DryRun:
		return "dry run"
	}
	return "acting"
}
