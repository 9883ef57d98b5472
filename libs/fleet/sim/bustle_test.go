package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// bustle is somebody who keeps a world busy by chance, and writes down every answer.
type bustle struct {
	t      testing.TB
	w      *World
	chance *rand.PCG
	rng    *rand.Rand
	log    strings.Builder
	calls  int
}

func newBustle(t testing.TB, w *World, seed uint64) *bustle {
	b := &bustle{t: t, w: w, chance: rand.NewPCG(seed, 99)}
	b.rng = rand.New(b.chance)
	return b
}

// onto is the same person before another world.
func (b *bustle) onto(w *World) *bustle {
	state, err := b.chance.MarshalBinary()
	if err != nil {
		b.t.Fatal(err)
	}
	other := newBustle(b.t, w, 0)
	if err := other.chance.UnmarshalBinary(state); err != nil {
		b.t.Fatal(err)
	}
	other.calls = b.calls
	return other
}

// begin makes a cluster with services of all kinds.
func (b *bustle) begin() {
	b.script(`task agent cpu 64 memory 64
service agent task agent daemon
task web cpu 256 memory 512
task api cpu 512 memory 1024 network awsvpc
task port cpu 128 memory 256 port 8080 constraint 'attribute:ecs.availability-zone != us-east-1c'
task sick cpu 64 memory 64 fails exit run-for 40s
task job cpu 256 memory 256 run-for 4m
launch m7i.xlarge count 3 lifecycle spot attribute disk=nvme
launch c7i.large count 2 zone us-east-1b
at 7m interrupt spot 1
at 9m cluster other
at 9m cluster web
at 9m task late cpu 64 memory 64
at 11m disconnect oldest for 3m
at 13m events drop 20% duplicate 20% for 5m
at 31m service web desired 9`)
	b.w.Advance(b.w.Now().Add(2 * time.Minute))
	b.script(`service web task web desired 6
group pool type m7i.large min 0 max 4 desired 1
provider pool group pool managed target 90%
service pooled task web desired 2 provider pool
service sick task sick desired 2
service pack task web desired 4 strategy binpack:memory
service one task web desired 3 distinct
service port task port desired 2
service api task api desired 3 min 50 max 150 subnet ` + b.w.subnets[0].ID + ` subnet ` + b.w.subnets[1].ID)
	data := RequestLaunchTemplateData{
		ImageID:  "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
		UserData: base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\necho ECS_CLUSTER=web >> /etc/ecs/ecs.config\n# \xff\xfe")),
	}
	b.did(b.w.CreateLaunchTemplate(&CreateLaunchTemplateInput{LaunchTemplateName: "nodes", LaunchTemplateData: data}))
}

// did writes down an answer.
func (b *bustle) did(answer any, err error) {
	b.calls++
	text, bad := json.Marshal(answer)
	if bad != nil {
		b.t.Fatal(bad)
	}
	fmt.Fprintf(&b.log, "%d %v %s %v\n", b.calls, b.w.Now(), text, err)
}

func (b *bustle) script(text string) {
	b.t.Helper()
	s, err := ParseScript("cluster web\n" + text)
	if err != nil {
		b.t.Fatal(err)
	}
	b.did(nil, s.Run(b.w))
}

// step does something and lets time pass.
func (b *bustle) step() {
	w, r := b.w, b.rng
	service := pickOne(r, "web", "pack", "one", "port", "api")
	switch r.IntN(26) {
	case 0, 1, 2:
		n := r.IntN(12)
		b.did(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: service, DesiredCount: &n}))
	case 3:
		b.did(w.UpdateService(&UpdateServiceInput{Cluster: "web", Service: service, ForceNewDeployment: true}))
	case 4, 5:
		count := 1 + r.IntN(4)
		b.did(w.RunTask(&RunTaskInput{
			Cluster: "web", TaskDefinition: "job", Count: &count, ClientToken: pickOne(r, "", "", fmt.Sprint(r.IntN(5))),
			StartedBy: pickOne(r, "", "me"), Tags: []Tag{{"n", fmt.Sprint(b.calls)}},
		}))
	case 6:
		b.script(fmt.Sprintf("launch %s count %d zone us-east-1%s", pickOne(r, "m7i.large", "m7g.xlarge", "c7i.xlarge"), 1+r.IntN(2), pickOne(r, "a", "b", "c")))
	case 7:
		b.did(w.CreateFleet(&CreateFleetInput{
			Type: "instant", ClientToken: fmt.Sprint("fleet-", r.IntN(20)),
			LaunchTemplateConfigs: []FleetLaunchTemplateConfig{{
				LaunchTemplateSpecification: LaunchTemplateSpecification{LaunchTemplateName: "nodes"},
				Overrides:                   []FleetOverride{{InstanceType: "m7i.large"}, {InstanceType: "c7i.xlarge", SubnetID: w.subnets[1].ID}},
			}},
			TargetCapacitySpecification: TargetCapacitySpecification{TotalTargetCapacity: 1 + r.IntN(3), DefaultTargetCapacityType: pickOne(r, "spot", "on-demand")},
			SpotOptions:                 FleetOptions{AllocationStrategy: pickOne(r, "price-capacity-optimized", "capacity-optimized", "diversified")},
		}))
	case 8, 9:
		b.script(pickOne(r, "drain oldest", "terminate oldest", "interrupt spot 1", "rebalance spot", "disconnect oldest for 90s", "disconnect oldest"))
	case 10:
		b.script(pickOne(r, "shortage *.large * for 5m", "plenty * *", "shortage m7i.* us-east-1a spot left 1", "price c7i.* * 0.03", "stall 1", "events drop 30% duplicate 30% for 2m"))
	case 11:
		b.script(pickOne(r, "protect web count 2 for 5m", "unprotect web", "finish job count 1", "protect pack"))
	case 12, 13:
		b.someTask()
	case 14:
		b.someInstance()
	case 15, 16:
		b.readEvents()
	case 17:
		b.script(fmt.Sprintf("task web cpu %d memory 512 tag n=%d\nservice web task web", 128+r.IntN(256), b.calls))
	case 18:
		b.script(pickOne(r, "delete service one", "service one task web desired 2 distinct", "cluster other", "cluster web"))
	case 19:
		b.did(w.DeleteCluster(&DeleteClusterInput{Cluster: "other"}))
	default:
		b.script(pickOne(r,
			"capacity pool 1", "capacity pool 3", "run job count 3 provider pool", "service pooled desired 2", "service pooled desired 5",
			"unhealthy web count 2 for 1m", "zone us-east-1c down for 3m", "zone us-east-1c up", "flaps 5", "flaps 0", "interruptions 20", "interruptions 0",
			"trunks fail 1", "restart oldest", "deregister oldest", "deregister oldest force", "stop oldest", "start stopped", "reboot oldest",
			"quota * * 200", "quota * * 0", "maintenance system-reboot in 5m oldest", "reserve m7i.large count 2", "savings-plan 0.5",
			"consistency eventual", "consistency strong", "throttle on", "throttle ecs 50%", "throttle off",
			"outage ecs:DescribeTasks error 500 share 50% for 5m", "slow ec2 100ms for 5m", "restore *"))
	}
	w.Advance(w.Now().Add(time.Duration(r.Int64N(int64(40 * time.Second)))))
}

// readEvents empties the queue, but for a message now and then.
func (b *bustle) readEvents() {
	for {
		out, err := b.w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "events", MaxNumberOfMessages: 10})
		if err != nil || len(out.Messages) == 0 {
			b.did(out, err)
			return
		}
		for _, m := range out.Messages {
			fmt.Fprintln(&b.log, m.MessageID, m.MD5OfBody)
			if b.rng.IntN(20) > 0 {
				b.did(b.w.DeleteMessage(&DeleteMessageInput{QueueURL: "events", ReceiptHandle: m.ReceiptHandle}))
			}
		}
	}
}

func (b *bustle) someTask() {
	list, err := b.w.ListTasks(&ListTasksInput{Cluster: "web", MaxResults: 7})
	b.did(list, err)
	if err != nil || len(list.TaskArns) == 0 {
		return
	}
	arn := list.TaskArns[b.rng.IntN(len(list.TaskArns))]
	if b.rng.IntN(2) == 0 {
		b.did(b.w.StopTask(&StopTaskInput{Cluster: "web", Task: arn}))
	} else {
		b.did(b.w.TagResource(&TagResourceInput{ResourceArn: arn, Tags: []Tag{{"seen", fmt.Sprint(b.calls)}}}))
	}
}

func (b *bustle) someInstance() {
	list, err := b.w.ListContainerInstances(&ListContainerInstancesInput{Cluster: "web"})
	b.did(list, err)
	if err != nil || len(list.ContainerInstanceArns) == 0 {
		return
	}
	arn := list.ContainerInstanceArns[b.rng.IntN(len(list.ContainerInstanceArns))]
	switch b.rng.IntN(3) {
	case 0:
		b.did(b.w.PutAttributes(&PutAttributesInput{Cluster: "web", Attributes: []Attribute{{Name: "colour", Value: pickOne(b.rng, "red", "blue"), TargetID: arn}}}))
	case 1:
		b.did(b.w.DeregisterContainerInstance(&DeregisterContainerInstanceInput{Cluster: "web", ContainerInstance: arn, Force: true}))
	default:
		b.did(b.w.UpdateContainerInstancesState(&UpdateContainerInstancesStateInput{
			Cluster: "web", ContainerInstances: []string{arn}, Status: pickOne(b.rng, statusActive, statusDraining),
		}))
	}
}

func pickOne(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// everything is all that clients and people can read of a world.
func everything(t testing.TB, w *World) string {
	t.Helper()
	b := newBustle(t, w, 0)
	b.did(w.Truth(), w.Check())
	b.did(w.ScriptErrors(), nil)
	at, more := w.Next()
	b.did(at, nil)
	b.did(more, nil)
	clusters := must(w.ListClusters(&ListClustersInput{}))(t)
	b.did(clusters, nil)
	for _, c := range append(clusters.ClusterArns, "other") {
		b.did(w.DescribeClusters(&DescribeClustersInput{Clusters: []string{c}, Include: []string{"TAGS", "SETTINGS", "STATISTICS"}}))
		b.clusterOf(c)
	}
	definitions := must(w.ListTaskDefinitions(&ListTaskDefinitionsInput{}))(t)
	for _, d := range definitions.TaskDefinitionArns {
		b.did(w.DescribeTaskDefinition(&DescribeTaskDefinitionInput{TaskDefinition: d, Include: []string{"TAGS"}}))
	}
	b.did(w.DescribeInstances(&DescribeInstancesInput{}))
	b.did(w.DescribeSubnets(&DescribeSubnetsInput{}))
	b.did(w.DescribeImages(&DescribeImagesInput{}))
	b.did(w.DescribeLaunchTemplates(&DescribeLaunchTemplatesInput{}))
	b.did(w.DescribeLaunchTemplateVersions(&DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "nodes"}))
	b.did(w.DescribeCapacityProviders(&DescribeCapacityProvidersInput{}))
	b.did(w.GetQueueAttributes(&GetQueueAttributesInput{QueueURL: "events", AttributeNames: []string{"All"}}))
	return b.log.String()
}

// clusterOf writes down all that is in a cluster.
func (b *bustle) clusterOf(c string) {
	w := b.w
	services, err := w.ListServices(&ListServicesInput{Cluster: c})
	if b.did(services, err); err != nil {
		return
	}
	for _, s := range services.ServiceArns {
		b.did(w.DescribeServices(&DescribeServicesInput{Cluster: c, Services: []string{s}, Include: []string{"TAGS"}}))
		b.did(w.ListTasks(&ListTasksInput{Cluster: c, ServiceName: s, DesiredStatus: desiredStopped}))
	}
	hosts := must(w.ListContainerInstances(&ListContainerInstancesInput{Cluster: c}))(b.t)
	for _, h := range hosts.ContainerInstanceArns {
		b.did(w.DescribeContainerInstances(&DescribeContainerInstancesInput{Cluster: c, ContainerInstances: []string{h}, Include: []string{"TAGS"}}))
		b.did(w.ListTasks(&ListTasksInput{Cluster: c, ContainerInstance: h}))
	}
	for _, desired := range []string{desiredRunning, desiredStopped} {
		after := ""
		for {
			tasks := must(w.ListTasks(&ListTasksInput{Cluster: c, DesiredStatus: desired, NextToken: after}))(b.t)
			if len(tasks.TaskArns) > 0 {
				b.did(w.DescribeTasks(&DescribeTasksInput{Cluster: c, Tasks: tasks.TaskArns, Include: []string{"TAGS"}}))
			}
			if after = tasks.NextToken; after == "" {
				break
			}
		}
	}
}
