package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

const al2023 = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"

// fleetWorld is a world with a launch template, and a fleet request that uses it.
func fleetWorld(t *testing.T, cfg Config) (*World, *CreateFleetInput) {
	t.Helper()
	w := must(New(cfg))(t)
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "web"}))(t)
	userData := base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\necho ECS_CLUSTER=web >> /etc/ecs/ecs.config\n"))
	out := must(w.CreateLaunchTemplate(&CreateLaunchTemplateInput{LaunchTemplateName: "spec", LaunchTemplateData: RequestLaunchTemplateData{
		ImageID: al2023, UserData: userData, SecurityGroupIDs: []string{"sg-1"},
		TagSpecifications: []TagSpecification{{ResourceType: "instance", Tags: []Tag{{"from", "template"}}}},
	}}))(t)
	in := &CreateFleetInput{
		Type: "instant", ClientToken: "token",
		LaunchTemplateConfigs: []FleetLaunchTemplateConfig{{
			LaunchTemplateSpecification: LaunchTemplateSpecification{LaunchTemplateID: out.LaunchTemplate.LaunchTemplateID, Version: "$Latest"},
		}},
		TargetCapacitySpecification: TargetCapacitySpecification{TotalTargetCapacity: 2, DefaultTargetCapacityType: "on-demand"},
		TagSpecifications:           []TagSpecification{{ResourceType: "instance", Tags: []Tag{{fleet.TagAction, "a1"}}}},
	}
	return w, in
}

// over makes overrides of "type zone-letter".
func over(pairs ...string) []FleetOverride {
	var list []FleetOverride
	for i, p := range pairs {
		typ, zone, _ := strings.Cut(p, " ")
		priority := float64(len(pairs) - i)
		list = append(list, FleetOverride{InstanceType: typ, SubnetID: fmt.Sprintf("subnet-%017x", 0xa0+int(zone[0]-'a')), Priority: &priority})
	}
	return list
}

// bought lists what a fleet gave: "2 m7i.large us-east-1a on-demand".
func bought(out *CreateFleetOutput) []string {
	var list []string
	for _, i := range out.Instances {
		o := i.LaunchTemplateAndOverrides.Overrides
		list = append(list, fmt.Sprintf("%d %s %s %s", len(i.InstanceIDs), i.InstanceType, o.AvailabilityZone, i.Lifecycle))
	}
	return list
}

func TestCreateFleetChooses(t *testing.T) {
	two := []string{"m7i.large a", "m7i.xlarge b", "c7i.large c"}
	for _, c := range []struct {
		name, before string
		overrides    []string
		change       func(*CreateFleetInput)
		want         []string
		errors       []string
	}{
		{"lowest price is the default", "", two, nil, []string{"2 c7i.large us-east-1c on-demand"}, nil},
		{"priority before price", "", []string{"c7i.large a", "m7i.xlarge b"}, func(in *CreateFleetInput) {
			in.OnDemandOptions.AllocationStrategy = "prioritized"
		}, []string{"2 m7i.xlarge us-east-1b on-demand"}, nil},
		{
			"a shortage moves on", "shortage c7i.large * on-demand left 1", two, nil,
			[]string{"1 c7i.large us-east-1c on-demand", "1 m7i.large us-east-1a on-demand"},
			[]string{"InsufficientInstanceCapacity c7i.large"},
		},
		{"a spot shortage does not matter", "shortage c7i.large * spot", two, nil, []string{"2 c7i.large us-east-1c on-demand"}, nil},
		{
			"nothing at all", "shortage *.* * *", two, nil, nil,
			[]string{"InsufficientInstanceCapacity c7i.large", "InsufficientInstanceCapacity m7i.large", "InsufficientInstanceCapacity m7i.xlarge"},
		},
		{"spot by price", "price m7i.* us-east-1a 0.01", two, func(in *CreateFleetInput) {
			in.TargetCapacitySpecification.DefaultTargetCapacityType = "spot"
			in.SpotOptions.AllocationStrategy = "price-capacity-optimized"
		}, []string{"2 m7i.large us-east-1a spot"}, nil},
		{"arm does not fit the image", "", []string{"m7g.large a", "m7i.large a"}, nil, []string{"2 m7i.large us-east-1a on-demand"}, []string{"InvalidParameterValue m7g.large"}},
		{"unknown type", "", []string{"z9.huge a"}, nil, nil, []string{"InvalidParameterValue z9.huge"}},
		{"all or nothing", "shortage *.* * * left 1", []string{"m7i.large a"}, func(in *CreateFleetInput) {
			in.OnDemandOptions.MinTargetCapacity, in.OnDemandOptions.SingleInstanceType = 2, true
		}, nil, []string{"InsufficientInstanceCapacity m7i.large"}},
		{"both lifecycles", "", []string{"m7i.large a"}, func(in *CreateFleetInput) {
			in.TargetCapacitySpecification.SpotTargetCapacity = 1
		}, []string{"1 m7i.large us-east-1a on-demand", "1 m7i.large us-east-1a spot"}, nil},
		{"weights", "", []string{"m7i.large a"}, func(in *CreateFleetInput) {
			weight := 2.0
			in.LaunchTemplateConfigs[0].Overrides[0].WeightedCapacity = &weight
			in.TargetCapacitySpecification.TotalTargetCapacity = 5
		}, []string{"3 m7i.large us-east-1a on-demand"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, in := fleetWorld(t, Config{})
			if err := must(ParseScript(c.before))(t).Run(w); err != nil {
				t.Fatal(err)
			}
			in.LaunchTemplateConfigs[0].Overrides = over(c.overrides...)
			if c.change != nil {
				c.change(in)
			}
			out := must(w.CreateFleet(in))(t)
			var errs []string
			for _, e := range out.Errors {
				errs = append(errs, e.ErrorCode+" "+e.LaunchTemplateAndOverrides.Overrides.InstanceType)
			}
			if got := bought(out); !slices.Equal(got, c.want) || !slices.Equal(errs, c.errors) {
				t.Errorf("bought %q with errors %q, want %q with %q", got, errs, c.want, c.errors)
			}
			if harm := w.Harm(); harm != nil && c.name != "weights" {
				t.Errorf("harm %v", harm)
			}
		})
	}
}

func TestCreateFleetRefuses(t *testing.T) {
	for _, c := range []struct {
		name, code string
		change     func(*CreateFleetInput)
	}{
		{"not instant", "InvalidParameterValue", func(in *CreateFleetInput) { in.Type = "maintain" }},
		{"no template", "MissingParameter", func(in *CreateFleetInput) { in.LaunchTemplateConfigs = nil }},
		{"unknown template", "InvalidLaunchTemplateId.NotFound", func(in *CreateFleetInput) {
			in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateID = "lt-0"
		}},
		{"unknown version", "InvalidLaunchTemplateId.VersionNotFound", func(in *CreateFleetInput) {
			in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.Version = "7"
		}},
		{"too much", "InvalidTargetCapacitySpecification", func(in *CreateFleetInput) { in.TargetCapacitySpecification.TotalTargetCapacity = 10001 }},
		{"two subnets of a zone", "InvalidFleetConfiguration", func(in *CreateFleetInput) {
			in.LaunchTemplateConfigs[0].Overrides = append(over("m7i.large a"), FleetOverride{InstanceType: "m7i.large", SubnetID: "subnet-2"})
		}},
		{"dry run", "DryRunOperation", func(in *CreateFleetInput) { in.DryRun = true }},
		{"long token", "InvalidParameterValue", func(in *CreateFleetInput) { in.ClientToken = strings.Repeat("x", 65) }},
	} {
		w, in := fleetWorld(t, Config{
			Zones:   []Zone{{Name: "us-east-1a"}},
			Subnets: []Subnet{{ID: "subnet-000000000000000a0", Zone: "us-east-1a"}, {ID: "subnet-2", Zone: "us-east-1a"}},
		})
		in.LaunchTemplateConfigs[0].Overrides = over("m7i.large a")
		c.change(in)
		_, err := w.CreateFleet(in)
		failsWith(t, c.name, err, c.code)
		if len(w.instances) != 0 {
			t.Errorf("%s: %d instances", c.name, len(w.instances))
		}
	}
}

func TestCreateFleetIsIdempotent(t *testing.T) {
	w, in := fleetWorld(t, Config{})
	in.LaunchTemplateConfigs[0].Overrides = over("m7i.large a")
	first := must(json.Marshal(must(w.CreateFleet(in))(t)))(t)
	w.Advance(w.Now().Add(time.Hour))
	again := must(json.Marshal(must(w.CreateFleet(in))(t)))(t)
	if string(first) != string(again) || len(w.instances) != 2 {
		t.Errorf("the same request gave %d instances", len(w.instances))
	}
	in.TargetCapacitySpecification.TotalTargetCapacity = 3
	_, err := w.CreateFleet(in)
	failsWith(t, "same token, other count", err, "IdempotentParameterMismatch")
	in.ClientToken = "other"
	must(w.CreateFleet(in))(t)
	truth := w.Truth()
	if got := truth.History.Launches["token"]; got != (Launch{2, 2}) {
		t.Errorf("launches of the token %+v", got)
	}
	if truth.History.TokenReplays != 1 || len(truth.Instances) != 5 {
		t.Errorf("%d replays, %d instances", truth.History.TokenReplays, len(truth.Instances))
	}
}

func TestFleetInstancesJoinWithTheirTags(t *testing.T) {
	w, in := fleetWorld(t, Config{})
	in.LaunchTemplateConfigs[0].Overrides = over("m7i.large a")
	must(w.CreateFleet(in))(t)
	w.Advance(w.Now().Add(2 * time.Minute))
	out := must(w.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{
		{"tag:" + fleet.TagAction, []string{"a1"}}, {"instance-state-name", []string{"pending", "running"}},
	}}))(t)
	i := out.Reservations[0].Instances[0]
	if len(out.Reservations) != 1 || len(out.Reservations[0].Instances) != 2 || i.State.Name != "running" || i.ClientToken != "token" {
		t.Errorf("described %+v", out)
	}
	if len(i.Tags) != 3 || i.Tags[1] != (Tag{"from", "template"}) {
		t.Errorf("tags %v", i.Tags)
	}
	if n := len(w.clusters["web"].hosts); n != 2 {
		t.Errorf("%d container instances, 2 expected", n)
	}
}

func TestRunInstances(t *testing.T) {
	w := must(New(Config{}))(t)
	in := &RunInstancesInput{ImageID: al2023, InstanceType: "m7i.large", MinCount: 1, MaxCount: 3, ClientToken: "t", SubnetID: w.subnets[0].ID}
	if err := w.SetShortage("m7i.large", "us-east-1a", "", 2, w.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	out := must(w.RunInstances(in))(t)
	if len(out.Instances) != 2 {
		t.Fatalf("%d instances, the 2 that are left expected", len(out.Instances))
	}
	must(w.RunInstances(in))(t)
	in.ClientToken = "u"
	_, err := w.RunInstances(in)
	failsWith(t, "no capacity", err, "InsufficientInstanceCapacity")
	in.SubnetID, in.ClientToken = w.subnets[1].ID, "t" // tokens are zonal
	if more := must(w.RunInstances(in))(t); len(more.Instances) != 3 || more.Instances[0].Placement.AvailabilityZone != "us-east-1b" {
		t.Errorf("in the other zone %+v", more)
	}
	for _, c := range []struct {
		code   string
		change func(*RunInstancesInput)
	}{
		{"InvalidParameterValue", func(in *RunInstancesInput) { in.MinCount = 0 }},
		{"InvalidSubnetID.NotFound", func(in *RunInstancesInput) { in.SubnetID = "subnet-x" }},
		{"InvalidAMIID.NotFound", func(in *RunInstancesInput) { in.ImageID = "ami-1" }},
		{"InvalidAMIID.Malformed", func(in *RunInstancesInput) { in.ImageID = "image" }},
		{"MissingParameter", func(in *RunInstancesInput) { in.ImageID = "" }},
		{"InvalidParameterValue", func(in *RunInstancesInput) { in.ImageID = "resolve:ssm:/nothing" }},
		{"InvalidUserData.Malformed", func(in *RunInstancesInput) { in.UserData = "%%%" }},
		{"InvalidLaunchTemplateName.NotFoundException", func(in *RunInstancesInput) { in.LaunchTemplate.LaunchTemplateName = "x" }},
	} {
		bad := *in
		bad.ClientToken = ""
		c.change(&bad)
		_, err := w.RunInstances(&bad)
		failsWith(t, c.code, err, c.code)
	}
}

func TestQuotasAndAddresses(t *testing.T) {
	cfg := Config{Zones: []Zone{{Name: "us-east-1a"}}, Subnets: []Subnet{{ID: "s", Zone: "us-east-1a", FreeAddresses: 3}}}
	cfg.VCPUQuota.Spot = 4
	w := run(t, cfg, "cluster web\nlaunch m7i.large lifecycle spot count 2", time.Minute)
	_, err := w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Count: 1, Lifecycle: fleet.Spot})
	if err == nil || !strings.Contains(err.Error(), "MaxSpotInstanceCountExceeded") {
		t.Errorf("error %v", err)
	}
	_, err = w.Launch(Fixture{Cluster: "web", Type: "m7i.large", Count: 2})
	if err == nil || !strings.Contains(err.Error(), "InsufficientFreeAddressesInSubnet") {
		t.Errorf("error %v", err)
	}
	if got := must(w.DescribeSubnets(&DescribeSubnetsInput{}))(t).Subnets[0].AvailableIPAddressCount; got != 1 {
		t.Errorf("%d addresses are free, 1 expected", got)
	}
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: ids(w)}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	if got := w.subnets[0].free; got != 3 {
		t.Errorf("%d addresses are free after all ended, 3 expected", got)
	}
}

func ids(w *World) []string {
	var list []string
	for m := range w.instanceRoll.all {
		list = append(list, m.id)
	}
	return list
}

func TestTerminateInstances(t *testing.T) {
	w := run(t, Config{Delays: Delays{Linger: time.Hour}}, "cluster web\nlaunch m7i.large count 3", 2*time.Minute)
	list := ids(w)
	_, err := w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: append(list, "i-0123456789abcdef0")})
	failsWith(t, "one unknown", err, "InvalidInstanceID.NotFound")
	w.instances[list[0]].protected = true
	_, err = w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list[:2]})
	failsWith(t, "one protected", err, "OperationNotPermitted")
	w.instances[list[0]].protected = false
	out := must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list}))(t)
	if s := out.TerminatingInstances[0]; s.PreviousState.Name != "running" || s.CurrentState.Code != 32 {
		t.Errorf("change %+v", s)
	}
	again := must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: list}))(t)
	if s := again.TerminatingInstances[0]; s.PreviousState.Name != "shutting-down" {
		t.Errorf("a second time %+v", s)
	}
	w.Advance(w.Now().Add(10 * time.Minute))
	described := must(w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: list}))(t)
	if got := described.Reservations[0].Instances[0].State.Name; got != "terminated" {
		t.Errorf("state %s, terminated instances stay listed for an hour", got)
	}
	if n := len(w.clusters["web"].hosts); n != 0 {
		t.Errorf("%d container instances are left", n)
	}
	w.Advance(w.Now().Add(time.Hour))
	_, err = w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: list})
	failsWith(t, "after an hour", err, "InvalidInstanceID.NotFound")
}

func TestVisibilityDelay(t *testing.T) {
	w := run(t, Config{Delays: Delays{Visible: 5 * time.Second}}, "cluster web\nlaunch m7i.large", 0)
	id := w.instanceRoll.items[0].id
	_, err := w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: []string{id}})
	failsWith(t, "at once", err, "InvalidInstanceID.NotFound")
	_, err = w.CreateTags(&CreateTagsInput{Resources: []string{id}, Tags: []Tag{{"a", "b"}}})
	failsWith(t, "tag at once", err, "InvalidInstanceID.NotFound")
	w.Advance(w.Now().Add(8 * time.Second))
	must(w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: []string{id}}))(t)
	must(w.CreateTags(&CreateTagsInput{Resources: []string{id}, Tags: []Tag{{"a", "b"}, {"c", "d"}}}))(t)
	must(w.DeleteTags(&DeleteTagsInput{Resources: []string{id}, Tags: []Tag{{"a", ""}, {"c", "other"}}}))(t)
	if got := w.instances[id].tags; len(got) != 1 || got[0] != (Tag{"c", "d"}) {
		t.Errorf("tags %v", got)
	}
}

func TestLaunchTemplateVersions(t *testing.T) {
	w, in := fleetWorld(t, Config{})
	id := in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateID
	_, err := w.CreateLaunchTemplate(&CreateLaunchTemplateInput{LaunchTemplateName: "spec"})
	failsWith(t, "the name again", err, "InvalidLaunchTemplateName.AlreadyExistsException")
	must(w.CreateLaunchTemplateVersion(&CreateLaunchTemplateVersionInput{LaunchTemplateID: id, SourceVersion: "1", LaunchTemplateData: RequestLaunchTemplateData{KeyName: "k"}}))(t)
	out := must(w.DescribeLaunchTemplateVersions(&DescribeLaunchTemplateVersionsInput{LaunchTemplateName: "spec", Versions: []string{"$Latest", "$Default"}}))(t)
	latest, usual := out.LaunchTemplateVersions[0], out.LaunchTemplateVersions[1]
	if latest.VersionNumber != 2 || latest.LaunchTemplateData.KeyName != "k" || latest.LaunchTemplateData.ImageID != al2023 || usual.VersionNumber != 1 || !usual.DefaultVersion {
		t.Errorf("versions %+v", out.LaunchTemplateVersions)
	}
}

func TestPagesAreWholeWhileThingsChange(t *testing.T) {
	w := run(t, Config{}, "cluster web\ntask web cpu 10 memory 10\nlaunch m7i.4xlarge\nservice web task web desired 250", 3*time.Minute)
	seen := map[string]bool{}
	first := map[string]bool{}
	for t := range w.clusters["web"].taskRoll.all {
		first[t.arn] = true
	}
	in := &ListTasksInput{Cluster: "web", MaxResults: 100}
	for pages := 1; ; pages++ {
		out := must(w.ListTasks(in))(t)
		for _, arn := range out.TaskArns {
			if seen[arn] {
				t.Fatalf("%s is listed twice", arn)
			}
			seen[arn] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		_ = w.SetDesired("web", "web", 250+pages*3) // new ones come at the end
		w.Advance(w.Now().Add(5 * time.Second))
	}
	for arn := range first {
		if !seen[arn] {
			t.Errorf("%s was skipped", arn)
		}
	}
	_, err := w.ListTasks(&ListTasksInput{Cluster: "web", NextToken: "???"})
	failsWith(t, "bad token", err, codeInvalid)
	_, err = w.ListServices(&ListServicesInput{Cluster: "web", MaxResults: 101})
	failsWith(t, "too large a page", err, codeInvalid)
}

func TestCatalogueOperations(t *testing.T) {
	w := must(New(Config{}))(t)
	count, next := 0, ""
	for {
		out := must(w.DescribeInstanceTypes(&DescribeInstanceTypesInput{NextToken: next, MaxResults: 100}))(t)
		count += len(out.InstanceTypes)
		if next = out.NextToken; next == "" {
			break
		}
	}
	if count != len(w.types) || count < 300 {
		t.Errorf("%d types in pages, %d in the catalogue", count, len(w.types))
	}
	one := must(w.DescribeInstanceTypes(&DescribeInstanceTypesInput{Filters: []Filter{
		{"processor-info.supported-architecture", []string{"arm64"}}, {"instance-type", []string{"m7g.*large"}}, {"bare-metal", []string{"false"}},
	}}))(t)
	if len(one.InstanceTypes) != 7 || one.InstanceTypes[0].InstanceType != "m7g.12xlarge" {
		t.Errorf("%d types", len(one.InstanceTypes))
	}
	_, err := w.DescribeInstanceTypes(&DescribeInstanceTypesInput{Filters: []Filter{{"colour", nil}}})
	failsWith(t, "unknown filter", err, "InvalidParameterValue")
	_, err = w.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{"x"}})
	failsWith(t, "unknown type", err, "InvalidInstanceType")
	prices := must(w.DescribeSpotPriceHistory(&DescribeSpotPriceHistoryInput{InstanceTypes: []string{"m7i.large"}, StartTime: Timestamp{w.Now()}, ProductDescriptions: []string{"Linux/UNIX"}}))(t)
	windows := must(w.DescribeSpotPriceHistory(&DescribeSpotPriceHistoryInput{InstanceTypes: []string{"m7i.large", "m7g.large"}, StartTime: Timestamp{w.Now()}, ProductDescriptions: []string{"Windows"}}))(t)
	if len(windows.SpotPriceHistory) != 3 || windows.SpotPriceHistory[0].SpotPrice <= prices.SpotPriceHistory[0].SpotPrice {
		t.Errorf("with Windows: %+v", windows.SpotPriceHistory)
	}
	if len(prices.SpotPriceHistory) != 3 {
		t.Errorf("%d prices, one for each zone expected", len(prices.SpotPriceHistory))
	}
	day := must(w.DescribeSpotPriceHistory(&DescribeSpotPriceHistoryInput{InstanceTypes: []string{"m7i.large"}, StartTime: Timestamp{w.Now().Add(-24 * time.Hour)}, Filters: []Filter{{"product-description", []string{"Linux/UNIX"}}}}))(t)
	if n := len(day.SpotPriceHistory); n != 3*7 {
		t.Errorf("%d prices of a day, 21 expected", n)
	}
	for system, price := range map[string]string{"Linux": `"USD":"0.1008000000"`, "Windows": `"USD":"0.1928000000"`} { //neap:unordered each stands alone
		products := must(w.GetProducts(&GetProductsInput{ServiceCode: "AmazonEC2", Filters: []ProductFilter{
			{"TERM_MATCH", "instanceType", "m7i.large"},
			{"TERM_MATCH", "operatingSystem", system},
			{"TERM_MATCH", "regionCode", "us-east-1"},
			{"TERM_MATCH", "tenancy", "Shared"},
			{"TERM_MATCH", "productFamily", "Compute Instance"},
			{"TERM_MATCH", "marketoption", "OnDemand"},
		}}))(t)
		if len(products.PriceList) != 1 || !strings.Contains(products.PriceList[0], price) {
			t.Errorf("products %v", products.PriceList)
		}
	}
	offers := must(w.DescribeInstanceTypeOfferings(&DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", Filters: []Filter{{"instance-type", []string{"m7i.large"}}}}))(t)
	if len(offers.InstanceTypeOfferings) != 3 {
		t.Errorf("offered %v", offers)
	}
}

func TestEveryTypeRegistersSomethingAndCostsSomething(t *testing.T) {
	w := must(New(Config{}))(t)
	for _, typ := range w.types {
		r := w.registers(&instance{kind: typ, image: w.images[0]})
		if r.CPUUnits != typ.vcpus*1024 || r.MemoryMiB <= 0 || r.MemoryMiB >= typ.memory || r.ENIs < 0 {
			t.Errorf("%s registers %v of %d MiB", typ.name, r, typ.memory)
		}
		if prior := typ.memory - 220 - typ.memory*45/1000 - 64; r.MemoryMiB < prior {
			t.Errorf("%s registers %d MiB, less than the documented bound %d", typ.name, r.MemoryMiB, prior)
		}
		for _, zone := range typ.zones {
			if p := w.spotPrice(typ, zone, w.now); p <= 0 || p > typ.onDemand || typ.onDemand <= 0 {
				t.Errorf("%s costs %d on the spot market, %d on demand", typ.name, p, typ.onDemand)
			}
		}
	}
}

func TestParameters(t *testing.T) {
	w := must(New(Config{}))(t)
	const recommended = "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended"
	out := must(w.GetParameters(&GetParametersInput{Names: []string{recommended + "/image_id", recommended, "/nothing"}}))(t)
	if len(out.Parameters) != 2 || len(out.InvalidParameters) != 1 || !strings.Contains(out.Parameters[1].Value, out.Parameters[0].Value) {
		t.Errorf("parameters %+v", out)
	}
	image := must(w.DescribeImages(&DescribeImagesInput{ImageIDs: []string{out.Parameters[0].Value}}))(t)
	if image.Images[0].Architecture != "arm64" {
		t.Errorf("image %+v", image)
	}
	newer := must(w.AddImage(recommended))(t)
	if got := must(w.GetParameter(&GetParameterInput{Name: recommended + "/image_id"}))(t).Parameter.Value; got != string(newer) {
		t.Errorf("image %s, the newer one is %s", got, newer)
	}
	_, err := w.GetParameter(&GetParameterInput{Name: "/nothing"})
	failsWith(t, "unknown parameter", err, "ParameterNotFound")
}

func TestAgentWaitsForItsCluster(t *testing.T) {
	w := must(New(Config{}))(t)
	must(w.Launch(Fixture{Cluster: "later", Type: "m7i.large", Count: 1}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "later"}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	if n := len(w.clusters["later"].hosts); n != 1 {
		t.Errorf("%d container instances", n)
	}
}
