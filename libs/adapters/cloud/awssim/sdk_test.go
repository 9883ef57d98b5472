package awssim

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// account is a simulated account with the clients of the AWS SDK: they encode, sign, parse
// and recognise errors exactly as in production.
type account struct {
	*testing.T
	server  *Server
	url     string
	ecs     *ecs.Client
	ec2     *ec2.Client
	ssm     *ssm.Client
	sqs     *sqs.Client
	pricing *pricing.Client
}

// open starts a server over a new world. Its time stands still unless the options say
// otherwise.
func open(t *testing.T, config sim.Config, options Options) *account {
	t.Helper()
	config.Seed = 1
	world, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if options.Speed == 0 {
		options.Speed = Frozen
	}
	server := New(world, options)
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := aws.Config{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		BaseEndpoint:     &listener.URL,
		RetryMaxAttempts: 1,
		HTTPClient:       &http.Client{Transport: wholeBodies{transport}},
	}
	return &account{
		T: t, server: server, url: listener.URL,
		ecs: ecs.NewFromConfig(client), ec2: ec2.NewFromConfig(client), ssm: ssm.NewFromConfig(client),
		sqs: sqs.NewFromConfig(client), pricing: pricing.NewFromConfig(client),
	}
}

// wholeBodies sends the body of a request in one piece with its header. The body that the
// SDK hands over fails when the answer comes before the transport has seen its end, and
// takes the connection and the rest of the answer with it.
type wholeBodies struct{ next http.RoundTripper }

func (b wholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return b.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return b.next.RoundTrip(r)
}

// must ends the test if a call fails: must(client.Op(ctx, in))(a).
func must[T any](out T, err error) func(a *account) T {
	return func(a *account) T {
		a.Helper()
		if err != nil {
			a.Fatal(err)
		}
		return out
	}
}

// code is the code of an error that AWS gave, or what it is instead.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &api):
		return api.ErrorCode()
	default:
		return err.Error()
	}
}

// advance lets virtual time pass.
func (a *account) advance(d time.Duration) { a.server.Advance(d) }

// cluster makes a cluster and a launch template whose instances join it.
func (a *account) cluster(ctx context.Context, name string) (template string) {
	a.Helper()
	must(a.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: &name}))(a)
	const parameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
	image := must(a.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(parameter)}))(a)
	userData := "#!/bin/bash\ncat <<'EOF_' >> /etc/ecs/ecs.config\nECS_CLUSTER=" + name + "\n" +
		`ECS_INSTANCE_ATTRIBUTES={"stack":"blue"}` + "\nEOF_\n"
	made := must(a.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("join-" + name),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId:  image.Parameter.Value,
			UserData: aws.String(base64.StdEncoding.EncodeToString([]byte(userData))),
		},
	}))(a)
	return *made.LaunchTemplate.LaunchTemplateId
}

// subnet is a subnet in the zone of that letter.
func (a *account) subnet(ctx context.Context, letter string) string {
	a.Helper()
	out := must(a.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{
		{Name: aws.String("availability-zone"), Values: []string{"us-east-1" + letter}},
	}}))(a)
	if len(out.Subnets) != 1 {
		a.Fatalf("zone %s has %d subnets, want 1", letter, len(out.Subnets))
	}
	return *out.Subnets[0].SubnetId
}

// fleet asks for n on-demand instances of a type in a subnet.
func fleet(template, subnet string, n int32, types ...ec2types.InstanceType) *ec2.CreateFleetInput {
	var overrides []ec2types.FleetLaunchTemplateOverridesRequest
	for _, t := range types {
		overrides = append(overrides, ec2types.FleetLaunchTemplateOverridesRequest{InstanceType: t, SubnetId: &subnet})
	}
	return &ec2.CreateFleetInput{
		Type: ec2types.FleetTypeInstant,
		LaunchTemplateConfigs: []ec2types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &ec2types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: &template, Version: aws.String("$Latest")},
			Overrides:                   overrides,
		}},
		TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity: &n, DefaultTargetCapacityType: ec2types.DefaultTargetCapacityTypeOnDemand,
		},
		TagSpecifications: []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeInstance,
			Tags:         []ec2types.Tag{{Key: aws.String("owner"), Value: aws.String("test <&>")}},
		}},
	}
}

// definition registers a task definition of half a vCPU and 512 MiB.
func (a *account) definition(ctx context.Context, family string) {
	a.Helper()
	must(a.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: &family,
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String("nginx"), Cpu: 512, Memory: aws.Int32(512),
		}},
	}))(a)
}

// service describes one service.
func (a *account) service(ctx context.Context, cluster, name string) ecstypes.Service {
	a.Helper()
	out := must(a.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster: &cluster, Services: []string{name}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
	}))(a)
	if len(out.Services) != 1 {
		a.Fatalf("service %s: failures %+v", name, out.Failures)
	}
	return out.Services[0]
}

// joined returns the ARN of the only container instance of a cluster, which must be that
// EC2 instance, with what it registers filled in.
func (a *account) joined(ctx context.Context, cluster, id string) string {
	a.Helper()
	listed := must(a.ecs.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: &cluster}))(a)
	out := must(a.ecs.DescribeContainerInstances(ctx, &ecs.DescribeContainerInstancesInput{
		Cluster: &cluster, ContainerInstances: listed.ContainerInstanceArns,
	}))(a)
	if len(out.ContainerInstances) != 1 {
		a.Fatalf("%d container instances, want 1", len(out.ContainerInstances))
	}
	ci := out.ContainerInstances[0]
	if *ci.Ec2InstanceId != id || !ci.AgentConnected || *ci.Status != "ACTIVE" || ci.RegisteredAt == nil {
		a.Errorf("container instance %+v", ci)
	}
	amount := map[string]int32{}
	for _, r := range ci.RegisteredResources {
		amount[*r.Name] = r.IntegerValue
	}
	if amount["CPU"] != 2048 || amount["MEMORY"] < 7000 || amount["MEMORY"] >= 8192 {
		a.Errorf("an m7i.large registers %v", amount)
	}
	attributes := map[string]string{}
	for _, at := range ci.Attributes {
		attributes[*at.Name] = aws.ToString(at.Value)
	}
	if attributes["ecs.instance-type"] != "m7i.large" || attributes["stack"] != "blue" {
		a.Errorf("attributes %v", attributes)
	}
	return *ci.ContainerInstanceArn
}

// tasksOn lists the tasks that should run on a container instance.
func (a *account) tasksOn(ctx context.Context, cluster, arn string) []string {
	a.Helper()
	return must(a.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, ContainerInstance: &arn}))(a).TaskArns
}
