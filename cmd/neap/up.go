package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

type upCmd struct {
	DataDir      string              `help:"Where plans, policies and the ledger are kept. Keep it: it is what Neap knows of what it began." default:"./neap-data" type:"path"`
	Policy       string              `help:"Policy file to apply at start." placeholder:"FILE" type:"existingfile"`
	Cluster      []fleet.ClusterName `help:"ECS clusters to serve; default every one that has a policy." placeholder:"NAME"`
	Region       string              `help:"AWS region; default as the AWS CLI has it." env:"AWS_REGION" placeholder:"REGION"`
	AWSEndpoint  string              `name:"aws-endpoint" help:"Another AWS, such as the one of neap aws." env:"AWS_ENDPOINT_URL" placeholder:"URL"`
	NATSURL      string              `name:"nats-url" help:"NATS to use; default one within this process." env:"NATS_URL" placeholder:"URL"`
	NATSListen   string              `name:"nats-listen" help:"Where the NATS within this process listens, for neap status, pause and policy." default:"127.0.0.1:4222" placeholder:"HOST:PORT"`
	RedisURL     string              `name:"redis-url" help:"Redis to use; default one within this process." env:"REDIS_URL" placeholder:"URL"`
	EventQueue   string              `help:"URL of an SQS queue with the events of ECS and EC2." env:"EVENT_QUEUE_URL" placeholder:"URL"`
	Installation string              `help:"Owner tag of the instances that this installation launches." env:"NEAP_INSTALLATION" default:"neap"`
	Beat         time.Duration       `help:"Longest time between two looks at a cluster." env:"BEAT" default:"15s"`
	Tick         time.Duration       `help:"Time between two looks at which actions are due." env:"EXECUTOR_TICK" default:"1s" hidden:""`
}

// Help shows examples.
func (*upCmd) Help() string {
	return `Credentials come from the usual chain: environment, ~/.aws, instance or pod role.
A policy is in dry run until it says dryRun: false; then Neap only explains what it would do.

Examples:
  neap up --cluster web --policy policy.yaml
  neap status                                  # in another terminal
  neap up --aws-endpoint http://127.0.0.1:4566 --region us-east-1 --policy policy.yaml --cluster web`
}

// Run serves clusters from this process until it is stopped.
func (u *upCmd) Run(ctx context.Context, c console) error {
	policy, source, err := u.readPolicy(c)
	if err != nil {
		return err
	}
	frame, err := service.Load[service.Config]("")
	if err != nil {
		return err
	}
	if _, set := os.LookupEnv("LOG_FORMAT"); !set {
		frame.LogFormat = "text"
	}
	if _, set := os.LookupEnv("HEALTH_ADDR"); !set {
		frame.HealthAddr = "127.0.0.1:8080"
	}
	s, err := openStack(ctx, stackConfig{
		dataDir: u.DataDir, natsURL: u.NATSURL, natsListen: u.NATSListen, redisURL: u.RedisURL,
		aws:          cloud.Config{Region: u.Region, Endpoint: u.AWSEndpoint},
		installation: u.Installation, clusters: u.Cluster, eventQueue: u.EventQueue,
		beat: u.Beat, tick: u.Tick, log: c.err, frame: frame,
	})
	if err != nil {
		return err
	}
	defer s.close()
	if policy != nil {
		if err := u.applyPolicy(ctx, s.bus, policy, source); err != nil {
			return err
		}
	}
	u.greet(ctx, c.out, s)
	return s.serve(ctx)
}

func (u *upCmd) readPolicy(c console) (*fleet.Policy, []byte, error) {
	if u.Policy == "" {
		return nil, nil, nil
	}
	p, source, err := (&policyFileFlag{File: u.Policy}).read(c)
	if err != nil {
		return nil, nil, err
	}
	if p.Cluster == "" && len(u.Cluster) != 1 {
		return nil, nil, fmt.Errorf("%w: --policy %s names no cluster; give exactly one --cluster, not %d", fleet.ErrInvalid, u.Policy, len(u.Cluster))
	}
	return &p, source, nil
}

func (u *upCmd) applyPolicy(ctx context.Context, b *bus.Bus, p *fleet.Policy, source []byte) error {
	cluster := p.Cluster
	if cluster == "" {
		cluster = u.Cluster[0]
	}
	_, err := b.Control().ApplyPolicy(ctx, cluster, *p, source)
	return err
}

func (u *upCmd) greet(ctx context.Context, w io.Writer, s *stack) {
	abs, err := filepath.Abs(u.DataDir)
	if err != nil {
		abs = u.DataDir
	}
	fmt.Fprintf(w, "Neap %s runs in this process; data in %s, stop with ctrl-C\n", service.Version(), abs)
	if s.natsURL != "" {
		fmt.Fprintf(w, "from another terminal: neap status --nats-url %s --redis-url %s\n", s.natsURL, s.redis)
	}
	if addr := s.proc.HealthAddr(); addr != "" {
		fmt.Fprintf(w, "metrics for Prometheus: http://%s/metrics\n", addr)
	}
	clusters, err := s.bus.Control().Clusters(ctx)
	if err != nil {
		slog.WarnContext(ctx, "list policies", "err", err)
	}
	if err == nil && len(clusters) == 0 {
		fmt.Fprintln(w, "No cluster has a policy yet, so there is nothing to do. Apply one: neap policy apply --cluster NAME FILE")
	}
}
