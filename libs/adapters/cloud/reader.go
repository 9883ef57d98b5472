package cloud

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// Page and batch sizes: the largest that each call takes.
const (
	ecsPage       = 100  // of the List calls, and of most Describe calls
	servicesBatch = 10   // of DescribeServices
	ec2Page       = 1000 // of DescribeInstances and offerings
	filterValues  = 200  // of an EC2 filter
)

// together is how many calls of one sweep are under way at once. The rate limits decide how
// fast a sweep goes; this only hides the time that a call takes.
const together = 8

// Reader is the face of an account that sees everything and changes nothing.
//
// Each method reads one section of a snapshot. It returns what it could read, with the
// section marked incomplete if that was not all, and the first error, if any.
type Reader struct {
	account     *Account
	ecs         readerECS
	ec2         readerEC2
	ssm         parameters
	sqs         eventQueue
	pricing     priceList
	definitions definitionReader
}

// Reader makes the face that sees everything. Task definitions are looked up in shared
// before ECS is asked for them; it may be nil.
func (a *Account) Reader(shared definitions) *Reader {
	return &Reader{
		account: a, ecs: a.readECS, ec2: a.readEC2, ssm: a.ssm, sqs: a.sqs, pricing: a.pricing,
		definitions: definitionReader{ecs: a.readECS, own: a.definitions, shared: shared},
	}
}

// Cluster is what a cluster itself says.
type Cluster struct {
	ARN               string
	Account           string // ID of the AWS account
	CapacityProviders []string
	Tags              []snapshot.Tag
}

// Cluster reads a cluster. It fails with fleet.ErrNotFound if there is none of that name.
func (r *Reader) Cluster(ctx context.Context, name fleet.ClusterName) (Cluster, error) {
	out, err := call(ctx, r.ecs.DescribeClusters, &ecs.DescribeClustersInput{
		Clusters: []string{string(name)}, Include: []ecstypes.ClusterField{ecstypes.ClusterFieldTags},
	})
	if err != nil {
		return Cluster{}, fmt.Errorf("describe cluster %s: %w", name, err)
	}
	if len(out.Clusters) == 0 || text(out.Clusters[0].Status) == "INACTIVE" {
		return Cluster{}, fmt.Errorf("describe cluster %s: %w: there is no such cluster in %s; `aws ecs list-clusters` lists those there are", name, fleet.ErrNotFound, r.account.region)
	}
	c := &out.Clusters[0]
	return Cluster{
		ARN: text(c.ClusterArn), Account: accountOf(text(c.ClusterArn)),
		CapacityProviders: c.CapacityProviders, Tags: convert(c.Tags, ecsTag),
	}, nil
}

// ContainerInstances reads the container instances of a cluster and its capacity providers.
func (r *Reader) ContainerInstances(ctx context.Context, cluster fleet.ClusterName) (snapshot.ContainerInstances, error) {
	s := r.begin()
	out := snapshot.ContainerInstances{}
	about, err := r.Cluster(ctx, cluster)
	s.note(err)
	if err == nil {
		out.CapacityProviders, err = r.capacityProviders(ctx, about.CapacityProviders)
		s.note(err)
		arns, err := listContainerInstances(ctx, r.ecs, cluster, "")
		s.note(err)
		found, err := describeContainerInstances(ctx, r.ecs, cluster, arns)
		s.note(err)
		out.Instances = convert(found, containerInstance)
	}
	out.Read, err = s.end()
	return out, err
}

func (r *Reader) capacityProviders(ctx context.Context, names []string) ([]snapshot.CapacityProvider, error) {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "FARGATE" || n == "FARGATE_SPOT" })
	if len(names) == 0 {
		return nil, nil
	}
	var found []snapshot.CapacityProvider
	in := &ecs.DescribeCapacityProvidersInput{CapacityProviders: names}
	for {
		out, err := call(ctx, r.ecs.DescribeCapacityProviders, in)
		if err != nil {
			return found, fmt.Errorf("describe capacity providers: %w", err)
		}
		found = append(found, convert(out.CapacityProviders, capacityProvider)...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			return found, nil
		}
	}
}

// listContainerInstances lists the container instances that a filter of the cluster query
// language admits, all but inactive ones for the empty filter.
func listContainerInstances(ctx context.Context, api instanceReads, cluster fleet.ClusterName, filter string) ([]string, error) {
	in := &ecs.ListContainerInstancesInput{Cluster: aws.String(string(cluster)), MaxResults: aws.Int32(ecsPage)}
	if filter != "" {
		in.Filter = &filter
	}
	var arns []string
	for {
		out, err := call(ctx, api.ListContainerInstances, in)
		if err != nil {
			return arns, fmt.Errorf("list container instances of %s: %w", cluster, err)
		}
		arns = append(arns, out.ContainerInstanceArns...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			return arns, nil
		}
	}
}

func describeContainerInstances(ctx context.Context, api instanceReads, cluster fleet.ClusterName, arns []string) ([]ecstypes.ContainerInstance, error) {
	return describe(ctx, "container instances of "+string(cluster), arns, ecsPage, func(ctx context.Context, batch []string) ([]ecstypes.ContainerInstance, []ecstypes.Failure, error) {
		out, err := call(ctx, api.DescribeContainerInstances, &ecs.DescribeContainerInstancesInput{
			Cluster: aws.String(string(cluster)), ContainerInstances: batch,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.ContainerInstances, out.Failures, nil
	})
}

// EC2 reads the EC2 instances of a cluster: those that carry its tag, and those that are
// container instances (of the IDs given) without it.
func (r *Reader) EC2(ctx context.Context, cluster fleet.ClusterName, containerInstances []snapshot.ContainerInstance) (snapshot.EC2, error) {
	s := r.begin()
	tagged, err := describeInstances(ctx, r.ec2, tagFilter(fleet.TagCluster, string(cluster)))
	s.note(err)
	seen := make(map[string]bool, len(tagged))
	for i := range tagged {
		seen[text(tagged[i].InstanceId)] = true
	}
	var others []string
	for _, ci := range containerInstances {
		if id := ci.EC2InstanceID; !seen[id] && len(id) > 2 && id[:2] == "i-" {
			seen[id] = true
			others = append(others, id)
		}
	}
	out := snapshot.EC2{Instances: convert(tagged, ec2Instance)}
	for batch := range slices.Chunk(others, filterValues) {
		// A filter, for one ID that EC2 does not know would fail a request by IDs as a whole.
		found, err := describeInstances(ctx, r.ec2, ec2types.Filter{Name: aws.String("instance-id"), Values: batch})
		s.note(err)
		out.Instances = append(out.Instances, convert(found, ec2Instance)...)
	}
	out.Read, err = s.end()
	return out, err
}

func tagFilter(name, value string) ec2types.Filter {
	return ec2types.Filter{Name: aws.String("tag:" + name), Values: []string{value}}
}

// describeInstances lists the instances that pass all filters.
func describeInstances(ctx context.Context, api machineReads, filters ...ec2types.Filter) ([]ec2types.Instance, error) {
	in := &ec2.DescribeInstancesInput{Filters: filters, MaxResults: aws.Int32(ec2Page)}
	var found []ec2types.Instance
	for {
		out, err := call(ctx, api.DescribeInstances, in)
		if err != nil {
			return found, fmt.Errorf("describe instances: %w", err)
		}
		for i := range out.Reservations {
			found = append(found, out.Reservations[i].Instances...)
		}
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			return found, nil
		}
	}
}

// Services reads the services of a cluster with their deployments.
func (r *Reader) Services(ctx context.Context, cluster fleet.ClusterName) (snapshot.Services, error) {
	s := r.begin()
	in := &ecs.ListServicesInput{Cluster: aws.String(string(cluster)), MaxResults: aws.Int32(ecsPage)}
	var arns []string
	for {
		out, err := call(ctx, r.ecs.ListServices, in)
		if err != nil {
			s.note(fmt.Errorf("list services of %s: %w", cluster, err))
			break
		}
		arns = append(arns, out.ServiceArns...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			break
		}
	}
	found, err := describeServices(ctx, r.ecs, cluster, arns)
	s.note(err)
	out := snapshot.Services{Services: convert(found, service)}
	out.Read, err = s.end()
	return out, err
}

func describeServices(ctx context.Context, api serviceReads, cluster fleet.ClusterName, names []string) ([]ecstypes.Service, error) {
	return describe(ctx, "services of "+string(cluster), names, servicesBatch, func(ctx context.Context, batch []string) ([]ecstypes.Service, []ecstypes.Failure, error) {
		out, err := call(ctx, api.DescribeServices, &ecs.DescribeServicesInput{
			Cluster: aws.String(string(cluster)), Services: batch, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Services, out.Failures, nil
	})
}

// describe reads things by their ARNs in batches. What is missing is looked for once more,
// for a list and a description are not of the same instant; what is missing then has gone,
// and is none of the answer. Any other failure makes the answer incomplete.
func describe[T any](ctx context.Context, what string, arns []string, batch int, ask func(context.Context, []string) ([]T, []ecstypes.Failure, error)) ([]T, error) {
	found, missing, err := describeOnce(ctx, what, arns, batch, ask)
	if len(missing) == 0 || err != nil {
		return found, err
	}
	late, _, err := describeOnce(ctx, what, missing, batch, ask)
	return append(found, late...), err
}

func describeOnce[T any](ctx context.Context, what string, arns []string, batch int, ask func(context.Context, []string) ([]T, []ecstypes.Failure, error)) (found []T, missing []string, err error) {
	batches := slices.Collect(slices.Chunk(arns, batch))
	answers := make([][]T, len(batches))
	var mu sync.Mutex
	var errs []error
	var g errgroup.Group
	g.SetLimit(together)
	for i, names := range batches {
		g.Go(func() error {
			got, failures, err := ask(ctx, names)
			answers[i] = got
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("describe %d %s: %w", len(names), what, err))
				return nil
			}
			for _, f := range failures {
				if text(f.Reason) == "MISSING" {
					missing = append(missing, text(f.Arn))
					continue
				}
				errs = append(errs, fmt.Errorf("describe %s: %w: %s: %s %s", what, fleet.ErrUnknown, text(f.Arn), text(f.Reason), text(f.Detail)))
			}
			if len(got)+len(failures) < len(names) {
				errs = append(errs, fmt.Errorf("describe %s: %w: asked for %d, told of %d", what, fleet.ErrUnknown, len(names), len(got)+len(failures)))
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs: one failed batch must not stop the others
	if len(errs) > 0 {
		err = errs[0]
	}
	slices.Sort(missing)
	return slices.Concat(answers...), missing, err
}

// section is a section of a snapshot while it is being read.
type section struct {
	account *Account
	started time.Time
	err     error
}

func (r *Reader) begin() *section { return &section{account: r.account, started: r.account.Now()} }

// note keeps the first error; the others often follow from it.
func (s *section) note(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *section) end() (snapshot.Read, error) {
	read := snapshot.Read{StartedAt: s.started, ReadAt: s.account.Now(), Complete: s.err == nil}
	if read.ReadAt.Before(read.StartedAt) {
		// The first call of all started by the local clock and ended by AWS's.
		read.StartedAt = read.ReadAt
	}
	if s.err != nil {
		read.Problem = s.err.Error()
	}
	return read, s.err
}

// accountOf is the account in an ARN.
func accountOf(arn string) string {
	const account = 4 // arn:aws:ecs:region:account:…
	parts := strings.Split(arn, ":")
	if len(parts) <= account {
		return ""
	}
	return parts[account]
}
