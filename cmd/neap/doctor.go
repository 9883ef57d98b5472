package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

type doctorCmd struct {
	natsFlags
	RedisURL     string              `name:"redis-url" help:"Redis of the installation; without one it is not checked." env:"REDIS_URL" placeholder:"URL"`
	Cluster      []fleet.ClusterName `help:"ECS clusters to check; default every one that has a policy." placeholder:"NAME"`
	For          []string            `help:"Services whose permissions to check with the credentials of this process: watcher, actuator, drainer or none." enum:"watcher,actuator,drainer,none" default:"watcher,actuator,drainer"`
	Policy       string              `help:"Policy file to check as well, before it is applied." placeholder:"FILE" type:"existingfile"`
	Region       string              `help:"AWS region; default as the AWS CLI has it." env:"AWS_REGION" placeholder:"REGION"`
	AWSEndpoint  string              `name:"aws-endpoint" help:"Another AWS, such as the one of neap aws." env:"AWS_ENDPOINT_URL" placeholder:"URL"`
	EventQueue   string              `help:"URL of the SQS queue with the events of ECS and EC2." env:"EVENT_QUEUE_URL" placeholder:"URL"`
	Installation string              `help:"Owner tag of the instances of this installation." env:"NEAP_INSTALLATION" default:"neap"`
	Output       string              `help:"How to print: table or json." enum:"table,json" default:"table" short:"o"`
}

// Help shows examples.
func (*doctorCmd) Help() string {
	return `It changes nothing: EC2 is asked with DryRun, ECS about things that do not exist. Exit status 1 says that something fails.

Examples:
  neap doctor
  neap doctor --cluster web --policy policy.yaml    # before the first apply
  neap doctor --for drainer -o json                 # in the drainer's own role
  neap doctor --for none                            # NATS, Redis and policies only`
}

// verdict is what a check says.
type verdict string

const (
	isOK     verdict = "ok"
	isWarn   verdict = "warn" // it may be meant so
	isFailed verdict = "fail"
)

// finding is the result of one check.
type finding struct {
	Check  string  `json:"check"`
	Result verdict `json:"result"`
	Says   string  `json:"says"`
	Remedy string  `json:"remedy,omitempty"`
}

// diagnosis is everything the doctor found.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

func (d *diagnosis) add(check string, result verdict, says, remedy string) {
	d.Checks = append(d.Checks, finding{Check: check, Result: result, Says: says, Remedy: remedy})
}

// tell adds a check that failed if err is not nil.
func (d *diagnosis) tell(check string, err error, says, remedy string) bool {
	if err != nil {
		d.add(check, isFailed, oneLine(err), remedy)
		return false
	}
	d.add(check, isOK, says, "")
	return true
}

// oneLine is an error for a cell of a table.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// Run checks an installation.
func (f *doctorCmd) Run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, 8*callTimeout)
	defer cancel()
	d := &diagnosis{}
	policies := f.checkFile(c, d)
	f.checkNATS(ctx, d, policies)
	f.checkRedis(ctx, d)
	f.checkAWS(ctx, d, policies)
	d.OK = !slices.ContainsFunc(d.Checks, func(one finding) bool { return one.Result == isFailed })
	if err := d.print(c.out, f.Output); err != nil {
		return err
	}
	if !d.OK {
		return errExpectation
	}
	return nil
}

// checkFile reads the policy of --policy. The policies that are known are by cluster; without
// one a cluster can be looked at all the same.
func (f *doctorCmd) checkFile(c console, d *diagnosis) map[fleet.ClusterName]*fleet.Policy {
	policies := map[fleet.ClusterName]*fleet.Policy{}
	for _, cluster := range f.Cluster {
		policies[cluster] = nil
	}
	if f.Policy == "" {
		return policies
	}
	p, _, err := (&policyFileFlag{File: f.Policy}).read(c)
	if !d.tell("policy "+f.Policy, err, "it is valid", "correct the file; docs/policy.md lists every field") {
		return policies
	}
	cluster := p.Cluster
	if cluster == "" && len(f.Cluster) == 1 {
		cluster = f.Cluster[0]
	}
	if cluster == "" {
		d.add("policy "+f.Policy, isFailed, "it names no cluster", "say which with --cluster")
		return policies
	}
	policies[cluster] = &p
	return policies
}

// checkNATS looks at the bus, the services on it and the policies in it.
func (f *doctorCmd) checkNATS(ctx context.Context, d *diagnosis, policies map[fleet.ClusterName]*fleet.Policy) {
	cfg, err := f.config()
	if !d.tell("NATS settings", errors.Join(err, cfg.Validate()), "they can be used", "correct the variable") {
		return
	}
	soon, cancel := context.WithTimeout(ctx, callTimeout/3) // a server that refuses a subject is silent
	b, err := bus.Open(soon, cfg)
	cancel()
	if !d.tell("NATS", err, fmt.Sprintf("connected to %s", cfg), natsRemedy(err)) {
		return
	}
	defer b.Close()
	d.tell("streams", b.Ready(ctx), fmt.Sprintf("they are there, generation %d", b.Generation()), `run "neap bootstrap"; give this user the permissions of deploy/nats`)
	f.checkServices(ctx, d, b)
	f.checkPolicies(ctx, d, b, policies)
}

func natsRemedy(err error) string {
	switch {
	case errors.Is(err, fleet.ErrDenied):
		return "check the user: NATS_CREDS_FILE, or the one in --nats-url; the server's log says what it refused"
	case errors.Is(err, bus.ErrTopology):
		return `run "neap bootstrap" once`
	}
	return "start a nats-server with JetStream, or correct --nats-url; a NetworkPolicy may stand between"
}

// checkServices: each of the four answers, in one version.
func (f *doctorCmd) checkServices(ctx context.Context, d *diagnosis, b *bus.Bus) {
	peers, err := b.Discover(ctx)
	if err != nil {
		d.tell("services", err, "", "allow this user to publish to $SRV.> and to subscribe to its inbox")
		return
	}
	replicas, versions := map[string]int{}, map[string]bool{}
	for _, p := range peers {
		replicas[p.Name]++
		versions[p.Version] = true
	}
	for _, name := range []string{"watcher", "planner", "actuator", "drainer"} {
		if replicas[name] == 0 {
			d.add(name, isWarn, "none answers", "start it, or look at its log; its /readyz says what it lacks")
			continue
		}
		d.add(name, isOK, count(replicas[name], "replica")+" of it answer", "")
	}
	if len(versions) > 1 {
		d.add("versions", isWarn, fmt.Sprintf("%d releases run side by side", len(versions)), "finish the upgrade; \"neap status\" shows which runs what")
	}
}

// checkPolicies: each can be read, and what it brings about can be seen.
func (f *doctorCmd) checkPolicies(ctx context.Context, d *diagnosis, b *bus.Bus, policies map[fleet.ClusterName]*fleet.Policy) {
	named, err := b.Control().Clusters(ctx)
	if err != nil {
		d.tell("policies", err, "", "give this user read access to the bucket neap-control")
		return
	}
	if len(f.Cluster) > 0 {
		named = f.Cluster
	}
	if len(named) == 0 {
		d.add("policies", isWarn, "no cluster has one, so nothing is done", "apply one: neap policy apply --cluster NAME FILE")
	}
	for _, cluster := range named {
		p, _, err := b.Control().Policy(ctx, cluster)
		if !d.tell("policy of "+string(cluster), err, "it is in force", "apply one: neap policy apply --cluster "+string(cluster)+" FILE") {
			continue
		}
		if policies[cluster] == nil {
			policies[cluster] = &p
		}
		f.checkCluster(ctx, d, b, cluster, &p)
	}
}

// staleView is how old a snapshot may be before somebody should look why: some beats.
const staleView = time.Minute

func (f *doctorCmd) checkCluster(ctx context.Context, d *diagnosis, b *bus.Bus, cluster fleet.ClusterName, p *fleet.Policy) {
	what := string(cluster) + ": "
	if *p.DryRun {
		d.add(what+"dry run", isWarn, "Neap plans and explains, and changes nothing", "set dryRun: false in its policy when you like the plans")
	}
	pause, err := b.Control().Paused(ctx, cluster)
	switch {
	case err != nil:
		d.tell(what+"pause", err, "", "what cannot be read counts as paused; run \"neap bootstrap\"")
	case pause.Paused():
		d.add(what+"pause", isWarn, fmt.Sprintf("paused by %s: %s", pause.By, pause.Why), "neap resume --cluster "+string(cluster)+" --why TEXT")
	}
	_, stored, err := b.LatestSnapshot(ctx, cluster)
	age := time.Since(stored)
	if err == nil && age > staleView {
		err = fmt.Errorf("%w: the newest is %s old", fleet.ErrNotFound, age.Round(time.Second))
	}
	if err != nil {
		d.add(what+"snapshot", isWarn, oneLine(err), "look at the log of the watcher: it says what it cannot read")
		return
	}
	d.add(what+"snapshot", isOK, ago(age)+" old", "")
}

func (f *doctorCmd) checkRedis(ctx context.Context, d *diagnosis) {
	if f.RedisURL == "" {
		d.add("Redis", isWarn, "--redis-url is not given", "give it; Neap works without Redis, and reads AWS more often")
		return
	}
	cfg, err := service.Load[cache.Config]("")
	cfg.URL, cfg.Timeout = f.RedisURL, max(cfg.Timeout, time.Second)
	if err = errors.Join(err, cfg.Validate()); !d.tell("Redis settings", err, "they can be used", "correct the variable, or --redis-url") {
		return
	}
	c, err := cache.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		defer func() { _ = c.Close(context.Background()) }() // it only closes connections
		err = c.Ping(ctx)
	}
	d.tell("Redis", err, "it answers", "start Redis, correct --redis-url, or check the user in it, its ACL and REDIS_PASSWORD_FILE")
}

// checkAWS: who we are, that the clusters are there, and what we may do.
func (f *doctorCmd) checkAWS(ctx context.Context, d *diagnosis, policies map[fleet.ClusterName]*fleet.Policy) {
	if slices.Equal(f.For, []string{"none"}) {
		return
	}
	account, err := cloud.Open(ctx, cloud.Config{Region: f.Region, Endpoint: f.AWSEndpoint})
	if !d.tell("AWS settings", err, "region and credentials are there", "set AWS_REGION and credentials, or give the process a role") {
		return
	}
	who, err := account.Identity(ctx)
	if !d.tell("AWS", err, who+" in "+account.Region(), "renew the credentials; check the network and AWS_ENDPOINT_URL") {
		return
	}
	for _, cluster := range slices.Sorted(maps.Keys(policies)) {
		f.checkECS(ctx, d, account, cluster, policies[cluster])
	}
}

func (f *doctorCmd) checkECS(ctx context.Context, d *diagnosis, account *cloud.Account, cluster fleet.ClusterName, p *fleet.Policy) {
	reader := account.Reader(nil)
	_, err := reader.Cluster(ctx, cluster)
	if !d.tell("cluster "+string(cluster), err, "ECS has it", "correct the name or the region; allow ecs:DescribeClusters") {
		return
	}
	for _, service := range f.For {
		if service != "none" {
			f.checkPermissions(ctx, d, account, service, cluster)
		}
	}
	if p != nil {
		checkNetwork(ctx, d, reader, cluster, p)
	}
}

// checkPermissions: a service may do all that it needs. What is refused has a line of its own.
func (f *doctorCmd) checkPermissions(ctx context.Context, d *diagnosis, account *cloud.Account, service string, cluster fleet.ClusterName) {
	all := account.Permissions(ctx, service, cluster, f.Installation, f.EventQueue)
	allowed := 0
	for _, p := range all {
		check := service + " may " + p.Action
		switch {
		case p.Err == nil:
			allowed++
		case errors.Is(p.Err, fleet.ErrDenied):
			d.add(check, isFailed, oneLine(p.Err), "allow it in the role of the "+service+": deploy/iam has its policy; or check another service with --for")
		default:
			d.add(check, isFailed, "nobody can tell: "+oneLine(p.Err), "try again; AWS did not say")
		}
	}
	if allowed == len(all) {
		d.add("permissions of the "+service+" on "+string(cluster), isOK, fmt.Sprintf("all %d operations are allowed", allowed), "")
	}
}

// checkNetwork: what the policy names is there.
func checkNetwork(ctx context.Context, d *diagnosis, reader *cloud.Reader, cluster fleet.ClusterName, p *fleet.Policy) {
	subnets, images := map[string]bool{}, map[string]bool{}
	for i := range p.LaunchSpecs {
		for _, id := range p.LaunchSpecs[i].Subnets {
			subnets[string(id)] = true
		}
		for _, image := range p.LaunchSpecs[i].Images {
			images[image] = true
		}
	}
	read, err := reader.Network(ctx, slices.Sorted(maps.Keys(subnets)), slices.Sorted(maps.Keys(images)))
	if err != nil && !errors.Is(err, fleet.ErrNotFound) {
		d.tell(string(cluster)+": subnets and images", err, "", "allow ec2:DescribeSubnets, ec2:DescribeImages and ssm:GetParameters")
		return
	}
	for _, subnet := range read.Subnets {
		delete(subnets, subnet.ID)
	}
	for _, image := range read.Images {
		delete(images, image.Parameter)
	}
	for _, missing := range append(slices.Sorted(maps.Keys(subnets)), slices.Sorted(maps.Keys(images))...) {
		d.add(string(cluster)+": "+missing, isFailed, "the policy names it and AWS has none in this region", "correct launchSpecs in the policy, or --region")
	}
	if len(subnets)+len(images) == 0 {
		d.add(string(cluster)+": subnets and images", isOK, "all that the policy names are there", "")
	}
}

func (d *diagnosis) print(w io.Writer, output string) error {
	if output == "json" {
		return writeJSON(w, d)
	}
	var b bytes.Buffer
	t := newTable(&b, "CHECK", "RESULT", "WHAT IT SAYS", "REMEDY")
	for _, one := range d.Checks {
		t.row(one.Check, one.Result, one.Says, one.Remedy)
	}
	t.end()
	failed := 0
	for _, one := range d.Checks {
		if one.Result == isFailed {
			failed++
		}
	}
	if d.OK {
		fmt.Fprintln(&b, "\nNothing fails.")
	} else {
		fmt.Fprintf(&b, "\n%s of %d fail.\n", count(failed, "check"), len(d.Checks))
	}
	_, err := w.Write(b.Bytes())
	return err
}
