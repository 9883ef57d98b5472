package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

type planCmd struct {
	Cluster  fleet.ClusterName `help:"Read this ECS cluster with your AWS credentials; read-only ones are enough." placeholder:"NAME" xor:"from"`
	Snapshot string            `help:"Read a snapshot file, as --save writes it." placeholder:"FILE" xor:"from"`
	AWSJSON  string            `name:"aws-json" help:"Read a folder of JSON as the AWS CLI prints it; see below." placeholder:"DIR" xor:"from"`

	Policy      string `help:"Policy file; without one a policy is derived from what runs." placeholder:"FILE" type:"existingfile" short:"p"`
	Region      string `help:"AWS region; default as the AWS CLI has it." env:"AWS_REGION" placeholder:"REGION"`
	AWSEndpoint string `name:"aws-endpoint" help:"Another AWS, such as the one of neap aws." env:"AWS_ENDPOINT_URL" placeholder:"URL"`
	OnlyOwned   bool   `help:"Remove only what Neap launched, also where it has launched nothing yet."`
	Output      string `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
	All         bool   `help:"Show every row, also in a cluster of thousands." short:"a"`
	Save        string `help:"Also write the snapshot to a file, to plan again from it." placeholder:"FILE"`
	SavePolicy  string `help:"Also write the policy that was used, to edit and apply it." placeholder:"FILE"`
}

// Help shows examples and the files of --aws-json.
func (*planCmd) Help() string {
	var b strings.Builder
	b.WriteString(`Reads a cluster, decides what Neap would do about it, and explains it. Nothing is changed, and
nothing has to be installed.

Examples:
  neap plan --cluster web
  neap plan --cluster web --policy policy.yaml --save web.json
  neap plan --snapshot web.json --policy other.yaml
  neap plan --aws-json ./web -o json

Files that --aws-json reads, and the commands that write them:
`)
	for _, f := range cloud.Files() {
		fmt.Fprintf(&b, "  %-26s %s\n", f.Name, f.Command)
		if f.Optional != "" {
			fmt.Fprintf(&b, "  %-26s   without it %s\n", "", f.Optional)
		}
	}
	return b.String()
}

// Run decides once and shows it.
func (p *planCmd) Run(ctx context.Context, c console) error {
	pol, err := p.readPolicy(c)
	if err != nil {
		return err
	}
	snap, err := p.read(ctx, c, pol)
	if err != nil {
		return err
	}
	source := p.Policy
	if pol == nil {
		derived := plan.DerivePolicy(snap)
		pol, source = &derived, "derived from what runs, dry run (give your own with --policy, or start from this one with --save-policy FILE)"
	}
	if err := pol.Validate(); err != nil {
		return fmt.Errorf("the policy derived from what runs lacks something; write one (docs/policy.md) and give it with --policy: %w", err)
	}
	if err := p.save(&snap, pol); err != nil {
		return err
	}
	snap, notes := p.suppose(snap, pol)
	made := plan.Make(snap, *pol, longWatched(&snap))
	if p.Output == "json" {
		return writeJSON(c.out, struct {
			Policy *fleet.Policy `json:"policy"`
			Plan   *fleet.Plan   `json:"plan"`
			Notes  []string      `json:"notes"`
			Words  []string      `json:"words"`
		}{pol, &made, notes, inWords(&made)})
	}
	r := report{snap: &snap, policy: pol, plan: &made, source: source, notes: notes, all: p.All, width: widthOf(c.out)}
	return r.write(c.out)
}

// suppose fills in what a running Neap would know, and says so.
func (p *planCmd) suppose(snap fleet.Snapshot, pol *fleet.Policy) (fleet.Snapshot, []string) {
	notes := []string{"what is idle now is taken to have been so for long enough; a running Neap waits scaleDown.stableFor first"}
	owned := slices.ContainsFunc(snap.Instances, func(i fleet.Instance) bool { return i.Owner != "" })
	if owned || p.OnlyOwned || len(snap.Instances) == 0 {
		return snap, notes
	}
	return plan.Adopt(snap, *pol), append(notes,
		"Neap launched none of these instances and would leave them alone; this is what it would do if they were its own (--only-owned: what it would do today)")
}

// longWatched is the memory of a planner that has seen the cluster as it is for a day.
func longWatched(snap *fleet.Snapshot) fleet.Memory {
	mem := fleet.Memory{Generation: snap.Generation}
	for i := range snap.Instances {
		mem.Idle = append(mem.Idle, fleet.Idle{Instance: snap.Instances[i].ID, Since: snap.TakenAt.Add(-24 * time.Hour)})
	}
	return mem
}

func (p *planCmd) readPolicy(c console) (*fleet.Policy, error) {
	if p.Policy == "" {
		return nil, nil //nolint:nilnil // no policy is not an error here: one is derived
	}
	pol, _, err := (&policyFileFlag{File: p.Policy}).read(c)
	return &pol, err
}

// read takes the snapshot from where the flags say.
func (p *planCmd) read(ctx context.Context, c console, pol *fleet.Policy) (fleet.Snapshot, error) {
	switch {
	case p.Snapshot != "":
		b, err := os.ReadFile(filepath.Clean(p.Snapshot))
		if err != nil {
			return fleet.Snapshot{}, fmt.Errorf("%w: --snapshot: %w", fleet.ErrInvalid, err)
		}
		snap, err := fleet.Decode[fleet.Snapshot](b)
		if err != nil {
			return snap, fmt.Errorf("--snapshot %s: %w", p.Snapshot, err)
		}
		return snap, nil
	case p.AWSJSON != "":
		in, warnings, err := cloud.ReadDir(p.AWSJSON)
		if err != nil {
			return fleet.Snapshot{}, fmt.Errorf("--aws-json: %w", err)
		}
		for _, warning := range warnings {
			fmt.Fprintln(c.err, "note:", warning)
		}
		in.RestrictTags = restrictTags(pol)
		return finished(in)
	case p.Cluster != "":
		return p.sweep(ctx, c.err, pol)
	}
	return fleet.Snapshot{}, fmt.Errorf("%w: say what to plan for: --cluster NAME, --snapshot FILE or --aws-json DIR (neap plan --help has examples)", fleet.ErrInvalid)
}

// sweep reads a cluster from AWS, once.
func (p *planCmd) sweep(ctx context.Context, progress io.Writer, pol *fleet.Policy) (fleet.Snapshot, error) {
	var none fleet.Snapshot
	if err := p.Cluster.Validate(); err != nil {
		return none, fmt.Errorf("--cluster: %w", err)
	}
	account, err := cloud.Open(ctx, cloud.Config{Region: p.Region, Endpoint: p.AWSEndpoint})
	if err != nil {
		return none, err
	}
	reader := account.Reader(nil)
	in := snapshot.Input{Cluster: p.Cluster, Region: account.Region(), Generation: 1, RestrictTags: restrictTags(pol)}
	about, err := reader.Cluster(ctx, p.Cluster)
	if err != nil {
		return none, err
	}
	in.Account = about.Account

	// A section that cannot be read is marked incomplete, and the plan says what follows
	// from that: people try this with the permissions they have.
	var problems []error
	step := func(what string, err error) {
		if err != nil {
			problems = append(problems, err)
			fmt.Fprintf(progress, "note: %s: %v\n", what, err)
			return
		}
		if f, ok := progress.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			fmt.Fprintf(progress, "read %s\n", what)
		}
	}
	in.ContainerInstances, err = reader.ContainerInstances(ctx, p.Cluster)
	step("container instances", err)
	in.EC2, err = reader.EC2(ctx, p.Cluster, in.ContainerInstances.Instances)
	step("EC2 instances", err)
	in.Services, err = reader.Services(ctx, p.Cluster)
	step("services", err)
	in.Tasks, err = reader.Tasks(ctx, p.Cluster, in.Services.Services)
	step("tasks", err)
	in.Catalogue, err = reader.Catalogue(ctx)
	if err == nil && pol.HasWindows() {
		err = reader.Windows(ctx, &in.Catalogue)
	}
	step("instance types and prices", err)
	subnets, images := networkOf(pol, &in)
	in.Network, err = reader.Network(ctx, subnets, images)
	step("subnets and images", err)
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	const sections = 6
	if len(problems) == sections {
		return none, errors.Join(problems...)
	}
	return finished(in)
}

func finished(in snapshot.Input) (fleet.Snapshot, error) {
	snap := snapshot.Assemble(in)
	if err := snap.Validate(); err != nil {
		return snap, fmt.Errorf("what was read makes no sense: %w", err)
	}
	return snap, nil
}

// networkOf lists the subnets and images to look up: those of the policy, or else those
// that are in use.
func networkOf(pol *fleet.Policy, in *snapshot.Input) (subnets, images []string) {
	subnetSet, imageSet := map[string]bool{}, map[string]bool{}
	for i := range in.EC2.Instances {
		if id := in.EC2.Instances[i].Subnet; id != "" {
			subnetSet[id] = true
		}
		if pol == nil && in.EC2.Instances[i].Image != "" {
			imageSet[in.EC2.Instances[i].Image] = true
		}
	}
	for i := range in.Services.Services {
		for _, id := range in.Services.Services[i].Subnets {
			subnetSet[id] = true
		}
	}
	if pol != nil {
		for i := range pol.LaunchSpecs {
			for _, id := range pol.LaunchSpecs[i].Subnets {
				subnetSet[string(id)] = true
			}
			for _, image := range pol.LaunchSpecs[i].Images {
				imageSet[image] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(subnetSet)), slices.Sorted(maps.Keys(imageSet))
}

func restrictTags(pol *fleet.Policy) []string {
	if pol != nil {
		return pol.Attributes.RestrictTags
	}
	defaults := fleet.Policy{}.WithDefaults()
	return defaults.Attributes.RestrictTags
}

// save writes the files that were asked for.
func (p *planCmd) save(snap *fleet.Snapshot, pol *fleet.Policy) error {
	if p.Save != "" {
		b, err := fleet.Encode(snap)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Clean(p.Save), b, 0o600); err != nil {
			return fmt.Errorf("--save: %w", err)
		}
	}
	if p.SavePolicy != "" {
		if err := writePolicy(p.SavePolicy, pol); err != nil {
			return fmt.Errorf("--save-policy: %w", err)
		}
	}
	return nil
}

// inWords lists what a plan does and why, a sentence each.
func inWords(p *fleet.Plan) []string {
	words := []string{}
	for i := range p.Actions {
		a := &p.Actions[i]
		subject := "cluster"
		if id, ok := a.Target(); ok {
			subject = string(id)
		} else if a.Launch != nil {
			subject = fmt.Sprintf("%d × %s", a.Launch.Count, a.Launch.Offerings[0].Key())
		}
		words = append(words, fmt.Sprintf("%s %s: %s", a.Kind, subject, a.Reason))
	}
	for _, d := range p.Demand {
		words = append(words, fmt.Sprintf("%s: %d waiting: %s", d.Group, d.Count, d.Reason))
	}
	for _, r := range p.Reasons {
		words = append(words, fmt.Sprintf("%s: %s", r.Subject, r))
	}
	return words
}

// widthOf is the width of the terminal, or 0 where the output goes elsewhere.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
