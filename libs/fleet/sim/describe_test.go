package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// TestDescribeInstancesFilters: every filter that an autoscaler uses.
func TestDescribeInstancesFilters(t *testing.T) {
	w := run(t, Config{}, "cluster web\nlaunch m7i.large tag team=a\nlaunch c7g.large zone us-east-1b lifecycle spot tag team=b\nat 1m launch m7i.xlarge tag other=a", 2*time.Minute)
	list := ids(w)
	spot := w.instances[list[1]]
	for _, c := range []struct {
		filter, values string
		want           []int
	}{
		{"instance-state-name", "running", []int{0, 1, 2}},
		{"instance-state-name", "pending,terminated", nil},
		{"instance-state-code", "16", []int{0, 1, 2}},
		{"tag:team", "a", []int{0}},
		{"tag:team", "*", []int{0, 1}},
		{"tag-key", "t?am", []int{0, 1}},
		{"tag-value", "a", []int{0, 2}},
		{"instance-id", list[2], []int{2}},
		{"instance-type", "m7i.*", []int{0, 2}},
		{"availability-zone", "us-east-1b", []int{1}},
		{"availability-zone-id", "use1-az1", []int{0, 2}},
		{"subnet-id", spot.subnet.ID, []int{1}},
		{"vpc-id", defaultVPC, []int{0, 1, 2}},
		{"image-id", spot.image.ImageID, []int{1}},
		{"architecture", "arm64", []int{1}},
		{"instance-lifecycle", "spot", []int{1}},
		{"launch-time", "2026-01-05T09:01:*", []int{2}},
		{"private-ip-address", spot.ip, []int{1}},
		{"reservation-id", spot.reservation, []int{1}},
		{"client-token", "x", nil},
		{"instance.group-name", "default", []int{0, 1, 2}},
		{"platform", "windows", nil},
	} {
		var want, got []string
		for _, i := range c.want {
			want = append(want, list[i])
		}
		for _, r := range must(w.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{c.filter, strings.Split(c.values, ",")}}}))(t).Reservations {
			for _, i := range r.Instances {
				got = append(got, i.InstanceID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s=%s: %v, want %v", c.filter, c.values, got, want)
		}
	}
	failsWith(t, "unknown filter", second(w.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{"colour", nil}}})), "InvalidParameterValue")
	failsWith(t, "unknown filter of an empty account", second(must(New(Config{}))(t).DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{"colour", nil}}})), "InvalidParameterValue")
	failsWith(t, "too many values", second(w.DescribeInstances(&DescribeInstancesInput{Filters: []Filter{{"instance-id", make([]string, 201)}}})), "FilterLimitExceeded")
	failsWith(t, "IDs and a page size", second(w.DescribeInstances(&DescribeInstancesInput{InstanceIDs: list, MaxResults: 10})), "InvalidParameterCombination")
	for _, n := range []int{4, 1001} {
		failsWith(t, fmt.Sprint(n, " per page"), second(w.DescribeInstances(&DescribeInstancesInput{MaxResults: n})), "InvalidParameterValue")
	}
}

// TestTags: reserved keys, their number, and what volumes and interfaces got at launch.
func TestTags(t *testing.T) {
	w := must(New(Config{}))(t)
	in := &RunInstancesInput{ImageID: al2023, InstanceType: "m7i.large", MinCount: 1, MaxCount: 1, TagSpecifications: []TagSpecification{
		{"instance", []Tag{{"name", "i"}}},
		{"volume", []Tag{{"name", "v"}}},
		{"network-interface", []Tag{{"name", "n"}}},
	}, BlockDeviceMappings: []BlockDeviceMapping{{DeviceName: "/dev/xvdb", EBS: &EBSBlockDevice{VolumeSize: 100, VolumeType: "io2"}}}}
	id := must(w.RunInstances(in))(t).Instances[0].InstanceID
	var kinds []string
	for _, d := range must(w.DescribeTags(&DescribeTagsInput{Filters: []Filter{{"key", []string{"name"}}}}))(t).Tags {
		kinds = append(kinds, d.ResourceType+"="+d.Value)
	}
	if want := []string{"instance=i", "volume=v", "volume=v", "network-interface=n"}; !slices.Equal(kinds, want) {
		t.Errorf("tags %v, want %v", kinds, want)
	}
	volumes := must(w.DescribeVolumes(&DescribeVolumesInput{Filters: []Filter{{"attachment.instance-id", []string{id}}}}))(t).Volumes
	if len(volumes) != 2 || volumes[1].Size != 100 || volumes[1].VolumeType != "io2" {
		t.Errorf("volumes %+v", volumes)
	}
	tag := func(tags ...Tag) error {
		return second(w.CreateTags(&CreateTagsInput{Resources: []string{id}, Tags: tags}))
	}
	failsWith(t, "a tag of AWS", tag(Tag{"AWS:x", "y"}), "InvalidParameterValue")
	failsWith(t, "no tag", tag(), "MissingParameter")
	failsWith(t, "no such thing", second(w.CreateTags(&CreateTagsInput{Resources: []string{"vpc-1"}, Tags: []Tag{{"a", "b"}}})), "InvalidID")
	many := make([]Tag, 49)
	for i := range many {
		many[i] = Tag{fmt.Sprintf("k%02d", i), "v"}
	}
	if err := tag(many...); err != nil {
		t.Fatal(err)
	}
	failsWith(t, "the 51st tag", tag(Tag{"one", "more"}), "TagLimitExceeded")
	must(w.DeleteTags(&DeleteTagsInput{Resources: []string{id}}))(t)
	if n := len(w.instances[id].tags); n != 0 {
		t.Errorf("%d tags are left of all", n)
	}
}

// TestTemplateChanges: default versions, deletions and what a template warns of.
func TestTemplateChanges(t *testing.T) {
	w, in := fleetWorld(t, Config{})
	spec := in.LaunchTemplateConfigs[0].LaunchTemplateSpecification
	made := must(w.CreateLaunchTemplateVersion(&CreateLaunchTemplateVersionInput{LaunchTemplateID: spec.LaunchTemplateID, LaunchTemplateData: RequestLaunchTemplateData{ImageID: "ami-1", InstanceType: "z9.huge"}}))(t)
	if made.Warning == nil || len(made.Warning.Errors) != 2 || made.Warning.Errors[1].Code != "InvalidAMIID.NotFound" {
		t.Errorf("warning %+v", made.Warning)
	}
	modify := func(version string) error {
		return second(w.ModifyLaunchTemplate(&ModifyLaunchTemplateInput{LaunchTemplateName: "spec", DefaultVersion: version}))
	}
	failsWith(t, "no such version", modify("9"), "InvalidLaunchTemplateId.VersionNotFound")
	if err := modify("2"); err != nil {
		t.Fatal(err)
	}
	out := must(w.DeleteLaunchTemplateVersions(&DeleteLaunchTemplateVersionsInput{LaunchTemplateName: "spec", Versions: []string{"1", "2", "7"}}))(t)
	if len(out.Successful) != 1 || len(out.Unsuccessful) != 2 || out.Unsuccessful[1].ResponseError.Code != "launchTemplateVersionDoesNotExist" {
		t.Errorf("deleted %+v", out)
	}
	must(w.CreateLaunchTemplateVersion(&CreateLaunchTemplateVersionInput{LaunchTemplateID: spec.LaunchTemplateID, SourceVersion: "$Default", LaunchTemplateData: RequestLaunchTemplateData{ImageID: al2023}}))(t)
	latest := must(w.DescribeLaunchTemplateVersions(&DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, ResolveAlias: true}))(t).LaunchTemplateVersions
	if len(latest) != 1 || latest[0].VersionNumber != 3 || !strings.HasPrefix(latest[0].LaunchTemplateData.ImageID, "ami-") {
		t.Errorf("latest of all templates: %+v", latest)
	}
	failsWith(t, "both names", second(w.DeleteLaunchTemplate(&DeleteLaunchTemplateInput{LaunchTemplateID: spec.LaunchTemplateID, LaunchTemplateName: "spec"})), "InvalidParameterCombination")
	must(w.DeleteLaunchTemplate(&DeleteLaunchTemplateInput{LaunchTemplateName: "spec"}))(t)
	failsWith(t, "a fleet of it", second(w.CreateFleet(in)), "InvalidLaunchTemplateId.NotFound")
}

// TestCommitments: reserved instances and savings plans that the account owns.
func TestCommitments(t *testing.T) {
	w := run(t, Config{}, "reserve m7i.large count 10\nreserve c7i.large zone us-east-1a\nsavings-plan 2.5 family m7i\nsavings-plan 1", 0)
	active := []Filter{{"state", []string{"active"}}}
	reserved := must(w.DescribeReservedInstances(&DescribeReservedInstancesInput{Filters: active}))(t).ReservedInstances
	if len(reserved) != 2 || reserved[0].InstanceCount != 10 || reserved[0].Scope != "Region" || reserved[1].Scope != "Availability Zone" {
		t.Errorf("reserved %+v", reserved)
	}
	plans := must(w.DescribeSavingsPlans(&DescribeSavingsPlansInput{States: []string{"active"}}))(t).SavingsPlans
	if len(plans) != 2 || plans[0].EC2InstanceFamily != "m7i" || plans[1].SavingsPlanType != "Compute" || plans[0].Commitment != "2.50000000" {
		t.Fatalf("plans %+v", plans)
	}
	rates := must(w.DescribeSavingsPlanRates(&DescribeSavingsPlanRatesInput{SavingsPlanID: plans[0].SavingsPlanID, Filters: []SavingsPlanFilter{{"instanceType", []string{"m7i.large", "c7i.large"}}}}))(t).SearchResults
	if len(rates) != 1 || rates[0].Rate != "0.066528" {
		t.Errorf("rates %+v", rates)
	}
	failsWith(t, "unknown plan", second(w.DescribeSavingsPlanRates(&DescribeSavingsPlanRatesInput{SavingsPlanID: "x"})), "ResourceNotFoundException")
	failsWith(t, "unknown filter", second(w.DescribeSavingsPlans(&DescribeSavingsPlansInput{Filters: []SavingsPlanFilter{{"colour", nil}}})), "ValidationException")
	w.Advance(w.Now().Add(366 * 24 * time.Hour))
	if n := len(must(w.DescribeReservedInstances(&DescribeReservedInstancesInput{Filters: active}))(t).ReservedInstances); n != 0 {
		t.Errorf("%d reservations are active after their term", n)
	}
}

// TestSpotPlacementScores: fewer than three types score low; shortages lower a zone.
func TestSpotPlacementScores(t *testing.T) {
	w := must(New(Config{}))(t)
	in := &GetSpotPlacementScoresInput{InstanceTypes: []string{"m7i.large", "m6i.large", "c7i.large"}, TargetCapacity: 20}
	region := must(w.GetSpotPlacementScores(in))(t).SpotPlacementScores
	if len(region) != 1 || region[0].Score != 10 || region[0].Region != "us-east-1" {
		t.Errorf("region %+v", region)
	}
	if err := w.SetShortage("*", "us-east-1a", fleet.Spot, 0, w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	in.SingleAvailabilityZone = true
	zones := must(w.GetSpotPlacementScores(in))(t).SpotPlacementScores
	if len(zones) != 3 || zones[0].Score != 1 || zones[1].Score < 5 {
		t.Errorf("zones %+v", zones)
	}
	in.InstanceTypes = in.InstanceTypes[:2]
	if zones = must(w.GetSpotPlacementScores(in))(t).SpotPlacementScores; zones[1].Score > 3 {
		t.Errorf("two types score %d", zones[1].Score)
	}
	failsWith(t, "no target", second(w.GetSpotPlacementScores(&GetSpotPlacementScoresInput{})), "InvalidParameterValue")
}

// TestLaunchChecks: what a launch is refused for, with EC2's codes.
func TestLaunchChecks(t *testing.T) {
	w := must(New(Config{SecurityGroups: []string{"sg-0123456789abcdef0"}}))(t)
	var missing *instanceType // in one zone
	for _, typ := range w.types {
		if len(typ.zones) == 2 && !typ.arm {
			missing = typ
		}
	}
	for _, c := range []struct {
		name, code string
		change     func(*RunInstancesInput)
	}{
		{"not sold in the zone", "Unsupported", func(in *RunInstancesInput) {
			in.InstanceType = missing.name
			for _, s := range w.subnets {
				if !slices.Contains(missing.zones, s.Zone) {
					in.SubnetID = s.ID
				}
			}
		}},
		{"another architecture", "InvalidParameterValue", func(in *RunInstancesInput) { in.InstanceType = "m7g.large" }},
		{"no such group", "InvalidGroup.NotFound", func(in *RunInstancesInput) { in.SecurityGroupIDs = []string{"sg-1"} }},
		{"no group at all", "InvalidGroupId.Malformed", func(in *RunInstancesInput) { in.SecurityGroupIDs = []string{"default"} }},
		{"no such group name", "InvalidGroup.NotFound", func(in *RunInstancesInput) { in.SecurityGroups = []string{"web"} }},
		{"user data is no base64", "InvalidUserData.Malformed", func(in *RunInstancesInput) { in.UserData = "%" }},
		{"too much user data", "InvalidParameterValue", func(in *RunInstancesInput) { in.UserData = strings.Repeat("QUFB", 6000) }},
		{"subnet beside an interface", "InvalidParameterCombination", func(in *RunInstancesInput) { in.NetworkInterfaces = []NetworkInterfaceSpecification{{}} }},
		{"subnet of another zone", "InvalidParameterValue", func(in *RunInstancesInput) { in.Placement.AvailabilityZone = "us-east-1b" }},
		{"three threads", "InvalidParameterValue", func(in *RunInstancesInput) { in.CPUOptions = CPUOptions{1, 3} }},
		{"max price", "SpotMaxPriceTooLow", func(in *RunInstancesInput) {
			in.InstanceMarketOptions = InstanceMarketOptions{"spot", &SpotMarketOptions{MaxPrice: "0.0001"}}
		}},
		{"persistent", "UnsupportedOperation", func(in *RunInstancesInput) {
			in.InstanceMarketOptions = InstanceMarketOptions{"spot", &SpotMarketOptions{SpotInstanceType: "persistent"}}
		}},
		{"dry run", "DryRunOperation", func(in *RunInstancesInput) { in.DryRun = true }},
		{"nothing wrong", "", func(in *RunInstancesInput) { in.SecurityGroupIDs = []string{"sg-0123456789abcdef0"} }},
	} {
		in := &RunInstancesInput{ImageID: al2023, InstanceType: "m7i.large", MinCount: 1, MaxCount: 1, SubnetID: w.subnets[0].ID}
		c.change(in)
		if _, err := w.RunInstances(in); c.code != "" {
			failsWith(t, c.name, err, c.code)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
