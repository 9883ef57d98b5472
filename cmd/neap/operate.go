package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/policyfile"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

// callTimeout bounds commands that ask or tell NATS something: a person waits.
const callTimeout = 15 * time.Second

// natsFlags say which installation a command talks to.
type natsFlags struct {
	NATSURL string `name:"nats-url" help:"NATS servers of the installation." env:"NATS_URL" default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

// with connects to the installation and calls f, which has as long as a person waits.
func (n *natsFlags) with(ctx context.Context, f func(context.Context, *bus.Bus) error) error {
	return n.within(ctx, callTimeout, f)
}

// within is with for what may take longer.
func (n *natsFlags) within(ctx context.Context, most time.Duration, f func(context.Context, *bus.Bus) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	cfg, err := n.config()
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer b.Close()
	return f(ctx, b)
}

// config is what services read from the environment, with this command's flags over it.
func (n *natsFlags) config() (bus.Config, error) {
	cfg, err := service.Load[bus.Config]("")
	if err != nil {
		return cfg, err
	}
	cfg.URL = n.NATSURL
	cfg.Name = "neap"
	cfg.ConnectTimeout = callTimeout / 3
	cfg.Log = slog.New(slog.DiscardHandler) // the command's own error says it
	return cfg, nil
}

// policyCmd groups what has to do with policies.
type policyCmd struct {
	Validate policyValidateCmd `cmd:"" help:"Check a policy file; changes nothing."`
	Apply    policyApplyCmd    `cmd:"" help:"Check a policy file and put it in force for a cluster."`
	Get      policyGetCmd      `cmd:"" help:"Print the policy in force, or the list of clusters that have one."`
	Schema   policySchemaCmd   `cmd:"" help:"Print the JSON Schema of a policy, for editors."`
}

type policyFileFlag struct {
	File string `arg:"" help:"Policy file in YAML; - is standard input." placeholder:"FILE"`
}

func (f *policyFileFlag) read(c console) (fleet.Policy, []byte, error) {
	name := f.File
	var document []byte
	var err error
	if f.File == "-" {
		name = "standard input"
		document, err = io.ReadAll(c.in)
	} else {
		document, err = os.ReadFile(filepath.Clean(f.File))
	}
	if err != nil {
		return fleet.Policy{}, nil, fmt.Errorf("%w: read policy: %w", fleet.ErrInvalid, err)
	}
	p, err := policyfile.Read(name, document)
	return p, document, err
}

type policyValidateCmd struct {
	policyFileFlag
	Output string `help:"How to print: text, or yaml for the policy with every default filled in." enum:"text,yaml" default:"text" short:"o"`
}

// Help shows examples.
func (*policyValidateCmd) Help() string {
	return "Examples:\n  neap policy validate policy.yaml\n  neap policy validate -o yaml policy.yaml    # what it means, defaults included"
}

// Run checks a policy file.
func (v *policyValidateCmd) Run(c console) error {
	p, _, err := v.read(c)
	if err != nil {
		return err
	}
	if v.Output == "yaml" {
		document, err := policyfile.Write(&p)
		if err != nil {
			return err
		}
		_, err = c.out.Write(document)
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s is valid: %d launch specs, at most %d instances, dry run %s\n",
		v.File, len(p.LaunchSpecs), p.Limits.MaxInstances, onOff(*p.DryRun))
	return err
}

type policyApplyCmd struct {
	policyFileFlag
	natsFlags
	Cluster fleet.ClusterName `help:"ECS cluster; default is the one the policy names." placeholder:"NAME"`
}

// Help shows examples.
func (*policyApplyCmd) Help() string {
	return "A policy that is not valid is refused and the one in force stays.\n\nExamples:\n  neap policy apply --cluster web policy.yaml\n  neap policy get --cluster web | neap policy apply --cluster web -"
}

// Run puts a policy in force.
func (a *policyApplyCmd) Run(ctx context.Context, c console) error {
	p, source, err := a.read(c)
	if err != nil {
		return err
	}
	cluster := a.Cluster
	if cluster == "" {
		cluster = p.Cluster
	}
	if cluster == "" {
		return fmt.Errorf("%w: --cluster: not given, and the policy names none; say which cluster it is for", fleet.ErrInvalid)
	}
	return a.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		revision, err := b.Control().ApplyPolicy(ctx, cluster, p, source)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "policy of %s applied, revision %d, dry run %s\n", cluster, revision, onOff(*p.DryRun))
		return err
	})
}

type policyGetCmd struct {
	natsFlags
	Cluster fleet.ClusterName `help:"ECS cluster; without it the clusters are listed." placeholder:"NAME"`
	History bool              `help:"List the revisions that are kept."`
	Output  string            `help:"How to print: yaml (as it was written) or json (with every default)." enum:"yaml,json" default:"yaml" short:"o"`
}

// Help shows examples.
func (*policyGetCmd) Help() string {
	return "Examples:\n  neap policy get\n  neap policy get --cluster web\n  neap policy get --cluster web --history"
}

// Run prints a policy.
func (g *policyGetCmd) Run(ctx context.Context, c console) error {
	return g.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		switch control := b.Control(); {
		case g.Cluster == "":
			clusters, err := control.Clusters(ctx)
			if err != nil {
				return err
			}
			if g.Output == "json" {
				return writeJSON(c.out, clusters)
			}
			for _, name := range clusters {
				fmt.Fprintln(c.out, name)
			}
			return nil
		case g.History:
			revisions, err := control.PolicyHistory(ctx, g.Cluster)
			if err != nil {
				return err
			}
			if g.Output == "json" {
				return writeJSON(c.out, revisions)
			}
			for _, r := range revisions {
				fmt.Fprintf(c.out, "%d\t%s\t%d bytes\n", r.Revision, r.At.UTC().Format(time.RFC3339), len(r.Source))
			}
			return nil
		default:
			p, err := control.PolicySource(ctx, g.Cluster)
			if errors.Is(err, fleet.ErrNotFound) {
				return fmt.Errorf("cluster %s has no policy; apply one with: neap policy apply --cluster %s FILE: %w", g.Cluster, g.Cluster, err)
			}
			if err != nil {
				return err
			}
			if g.Output == "json" {
				return writeJSON(c.out, p.Policy)
			}
			_, err = c.out.Write(p.Source)
			return err
		}
	})
}

type policySchemaCmd struct{}

// Run prints the JSON Schema of a policy.
func (*policySchemaCmd) Run(c console) error {
	schema, err := policyfile.Schema()
	if err != nil {
		return err
	}
	_, err = c.out.Write(schema)
	return err
}

// buttonFlags are what pause and resume share.
type buttonFlags struct {
	natsFlags
	Cluster fleet.ClusterName `help:"ECS cluster." placeholder:"NAME" xor:"which" required:""`
	All     bool              `help:"Every cluster of the installation." xor:"which" required:""`
	Why     string            `help:"Reason, for the record and for your colleagues." required:"" placeholder:"TEXT"`
}

func (f *buttonFlags) which() fleet.ClusterName {
	if f.All {
		return bus.AllClusters
	}
	return f.Cluster
}

func (f *buttonFlags) words() string {
	if f.All {
		return "all clusters"
	}
	return "cluster " + string(f.Cluster)
}

type pauseCmd struct{ buttonFlags }

// Help shows examples.
func (*pauseCmd) Help() string {
	return "No call that changes anything is made from the moment this returns. It holds until somebody resumes; no restart or upgrade undoes it.\n\nExamples:\n  neap pause --cluster web --why 'migration tonight'\n  neap pause --all --why 'AWS incident'"
}

// Run presses the red button.
func (p *pauseCmd) Run(ctx context.Context, c console) error {
	return p.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		if err := b.Control().Pause(ctx, p.which(), who(), p.Why); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "%s: paused\n", p.words())
		return err
	})
}

type resumeCmd struct{ buttonFlags }

// Help shows examples.
func (*resumeCmd) Help() string {
	return "Examples:\n  neap resume --cluster web --why 'migration is over'"
}

// Run undoes a pause.
func (r *resumeCmd) Run(ctx context.Context, c console) error {
	return r.with(ctx, func(ctx context.Context, b *bus.Bus) error {
		if err := b.Control().Resume(ctx, r.which(), who(), r.Why); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "%s: resumed\n", r.words())
		return err
	})
}

type bootstrapCmd struct {
	natsFlags
	Replicas   int    `help:"Servers that keep each message: 3 in production." default:"1"`
	MaxBytes   int64  `help:"Disk that all streams together may take on one server; 0 keeps what is there, or makes 4 GiB." default:"0" placeholder:"BYTES"`
	Generation uint64 `help:"Begin this generation: for state that was lost or has gone backwards. 0 keeps the current one." default:"0"`
}

// Help shows examples.
func (*bootstrapCmd) Help() string {
	return "Run it once before the services start, and after each upgrade. It changes nothing that is there already.\n\nExamples:\n  neap bootstrap --nats-url nats://nats:4222 --replicas 3\n  neap bootstrap --max-bytes 20000000000    # more room for history; never less than there is"
}

// Run creates streams and buckets.
func (s *bootstrapCmd) Run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, 4*callTimeout) // a new cluster elects leaders first
	defer cancel()
	cfg, err := s.config()
	if err != nil {
		return err
	}
	if err := bus.Bootstrap(ctx, cfg, bus.BootstrapOptions{Replicas: s.Replicas, Generation: s.Generation, MaxBytes: s.MaxBytes, By: who()}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, "streams and buckets are in place")
	return err
}

// who is the person at the keyboard, for the record.
func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "somebody"
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func writePolicy(file string, p *fleet.Policy) error {
	document, err := policyfile.Write(p)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Clean(file), document, 0o600)
}
