package awssim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestFleetGetsPart: what one offering is short of comes from another, or not at all, and
// the answer says both.
func TestFleetGetsPart(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template, subnet := a.cluster(ctx, "web"), a.subnet(ctx, "a")
	a.script("shortage m7i.large us-east-1a on-demand\n")

	out := must(a.ec2.CreateFleet(ctx, fleet(template, subnet, 2, "m7i.large")))(a)
	if len(out.Instances) != 0 || len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "InsufficientInstanceCapacity" {
		t.Fatalf("instances %+v, errors %+v; want an error alone", out.Instances, out.Errors)
	}
	failed := out.Errors[0]
	if o := failed.LaunchTemplateAndOverrides.Overrides; o.InstanceType != "m7i.large" || aws.ToString(o.SubnetId) != subnet || failed.Lifecycle != ec2types.InstanceLifecycleOnDemand {
		t.Errorf("the error does not name its offering: %+v", failed)
	}

	out = must(a.ec2.CreateFleet(ctx, fleet(template, subnet, 2, "m7i.large", "c7i.large")))(a)
	if len(out.Instances) != 1 || out.Instances[0].InstanceType != "c7i.large" || len(out.Instances[0].InstanceIds) != 2 {
		t.Fatalf("instances %+v, errors %+v; want two c7i.large", out.Instances, out.Errors)
	}
}

// TestFleetTwice: one client token is one launch.
func TestFleetTwice(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	request := fleet(a.cluster(ctx, "web"), a.subnet(ctx, "a"), 1, "m7i.large")
	request.ClientToken = aws.String("one")
	first := must(a.ec2.CreateFleet(ctx, request))(a)
	second := must(a.ec2.CreateFleet(ctx, request))(a)
	if *first.FleetId != *second.FleetId || !slices.Equal(first.Instances[0].InstanceIds, second.Instances[0].InstanceIds) {
		t.Errorf("the same token launched %+v, then %+v", first.Instances, second.Instances)
	}
	request.TargetCapacitySpecification.TotalTargetCapacity = aws.Int32(2)
	if _, err := a.ec2.CreateFleet(ctx, request); code(err) != "IdempotentParameterMismatch" {
		t.Errorf("the same token with another request: %s", code(err))
	}
}

// TestRunInstances launches without a fleet, finds the instances by tag, and changes tags.
func TestRunInstances(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template := a.cluster(ctx, "web")
	out := must(a.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		MinCount: aws.Int32(3), MaxCount: aws.Int32(3), InstanceType: "c7i.large", SubnetId: aws.String(a.subnet(ctx, "c")),
		LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateId: &template},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{
			{Key: aws.String("owner"), Value: aws.String("me & <you>")},
		}}},
	}))(a)
	if len(out.Instances) != 3 || out.Instances[0].State.Name != ec2types.InstanceStateNamePending || *out.Instances[0].Placement.AvailabilityZone != "us-east-1c" {
		t.Fatalf("launched %+v", out.Instances)
	}
	a.advance(5 * time.Minute)
	mine := &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:owner"), Values: []string{"me & *"}},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}},
	}}
	found := a.instances(mine)
	if len(found) != 3 {
		t.Fatalf("found %d instances, want 3", len(found))
	}
	one := found[*out.Instances[0].InstanceId]
	if one.InstanceType != "c7i.large" || one.LaunchTime == nil || one.InstanceLifecycle != "" || *one.Tags[0].Value != "me & <you>" || one.State.Name != ec2types.InstanceStateNameRunning {
		t.Errorf("instance %+v", one)
	}
	must(a.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{*one.InstanceId}, Tags: []ec2types.Tag{{Key: aws.String("owner"), Value: aws.String("you")}}}))(a)
	if found = a.instances(mine); len(found) != 2 {
		t.Errorf("after one changed hands: %v", slices.Sorted(maps.Keys(found)))
	}
	must(a.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: slices.Sorted(maps.Keys(found)), Tags: []ec2types.Tag{{Key: aws.String("owner")}}}))(a)
	if found = a.instances(mine); len(found) != 0 {
		t.Errorf("after the tags have gone: %v", slices.Sorted(maps.Keys(found)))
	}
}

// instances reads all pages of DescribeInstances.
func (a *account) instances(in *ec2.DescribeInstancesInput) map[string]ec2types.Instance {
	a.Helper()
	found := map[string]ec2types.Instance{}
	for p := ec2.NewDescribeInstancesPaginator(a.ec2, in); p.HasMorePages(); {
		for _, r := range must(p.NextPage(a.Context()))(a).Reservations {
			for _, i := range r.Instances {
				found[*i.InstanceId] = i
			}
		}
	}
	return found
}

// TestEC2Errors: the codes that clients switch on.
func TestEC2Errors(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template := a.cluster(ctx, "web")
	check := func(what string, err error, want string) {
		t.Helper()
		if got := code(err); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	_, err := a.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	check("an instance that is not there", err, "InvalidInstanceID.NotFound")
	_, err = a.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	check("ending an instance that is not there", err, "InvalidInstanceID.NotFound")
	_, err = a.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-00000000000000000"}})
	check("a subnet that is not there", err, "InvalidSubnetID.NotFound")
	_, err = a.ec2.CreateFleet(ctx, &ec2.CreateFleetInput{
		DryRun: aws.Bool(true), Type: ec2types.FleetTypeInstant,
		LaunchTemplateConfigs:       fleet(template, a.subnet(ctx, "a"), 1, "m7i.large").LaunchTemplateConfigs,
		TargetCapacitySpecification: fleet(template, a.subnet(ctx, "a"), 1, "m7i.large").TargetCapacitySpecification,
	})
	check("a dry run", err, "DryRunOperation")
	_, err = a.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{NextToken: aws.String("forged")})
	check("a forged token", err, "InvalidParameterValue")
	_, err = a.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	check("an operation that is not there", err, "InvalidAction")
}

// TestCatalogue reads the instance types, where they are sold, and their prices, as a
// client does that knows nothing.
func TestCatalogue(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	shapes := map[ec2types.InstanceType]ec2types.InstanceTypeInfo{}
	pages := 0
	for p := ec2.NewDescribeInstanceTypesPaginator(a.ec2, &ec2.DescribeInstanceTypesInput{MaxResults: aws.Int32(100)}); p.HasMorePages(); pages++ {
		for _, it := range must(p.NextPage(ctx))(a).InstanceTypes {
			shapes[it.InstanceType] = it
		}
	}
	if len(shapes) < 100 || pages != (len(shapes)+99)/100 {
		t.Errorf("%d types on %d pages", len(shapes), pages)
	}
	large := shapes["m7i.large"]
	if *large.VCpuInfo.DefaultVCpus != 2 || *large.MemoryInfo.SizeInMiB != 8192 || *large.NetworkInfo.MaximumNetworkInterfaces != 3 ||
		!slices.Contains(large.ProcessorInfo.SupportedArchitectures, ec2types.ArchitectureTypeX8664) || *large.BareMetal || *large.BurstablePerformanceSupported {
		t.Errorf("m7i.large is %+v", large)
	}

	zones := map[string]bool{}
	offerings := must(a.ec2.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone,
		Filters:      []ec2types.Filter{{Name: aws.String("instance-type"), Values: []string{"m7i.large"}}},
	}))(a)
	for _, o := range offerings.InstanceTypeOfferings {
		zones[*o.Location] = true
	}
	spot := map[string]float64{}
	for p := ec2.NewDescribeSpotPriceHistoryPaginator(a.ec2, &ec2.DescribeSpotPriceHistoryInput{
		InstanceTypes: []ec2types.InstanceType{"m7i.large"}, ProductDescriptions: []string{"Linux/UNIX"}, StartTime: aws.Time(a.server.Now()),
	}); p.HasMorePages(); {
		for _, price := range must(p.NextPage(ctx))(a).SpotPriceHistory {
			usd, err := strconv.ParseFloat(*price.SpotPrice, 64)
			if err != nil || price.Timestamp == nil || price.Timestamp.After(a.server.Now()) {
				t.Errorf("spot price %+v: %v", price, err)
			}
			spot[*price.AvailabilityZone] = usd
		}
	}
	onDemand := a.onDemand("m7i.large")
	if len(zones) == 0 || len(spot) != len(zones) {
		t.Errorf("sold in %v, spot prices %v", zones, spot)
	}
	for zone, price := range spot {
		if !zones[zone] || price <= 0 || price >= onDemand {
			t.Errorf("spot price %v in %s, on-demand %v", price, zone, onDemand)
		}
	}
}

// onDemand looks a price up as Karpenter does: by the filters that leave one product.
func (a *account) onDemand(instanceType string) float64 {
	a.Helper()
	filter := func(field, value string) pricingtypes.Filter {
		return pricingtypes.Filter{Field: &field, Type: pricingtypes.FilterTypeTermMatch, Value: &value}
	}
	out := must(a.pricing.GetProducts(a.Context(), &pricing.GetProductsInput{
		ServiceCode: aws.String("AmazonEC2"),
		Filters: []pricingtypes.Filter{
			filter("regionCode", "us-east-1"), filter("serviceCode", "AmazonEC2"), filter("preInstalledSw", "NA"),
			filter("operatingSystem", "Linux"), filter("capacitystatus", "Used"), filter("marketoption", "OnDemand"),
			filter("tenancy", "Shared"), filter("productFamily", "Compute Instance"), filter("instanceType", instanceType),
		},
	}))(a)
	if len(out.PriceList) != 1 {
		a.Fatalf("%d products for %s, want 1", len(out.PriceList), instanceType)
	}
	var product struct {
		Product struct {
			Attributes struct {
				InstanceType string `json:"instanceType"`
			} `json:"attributes"`
		} `json:"product"`
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					PricePerUnit map[string]string `json:"pricePerUnit"`
				} `json:"priceDimensions"`
			}
		} `json:"terms"`
	}
	if err := json.Unmarshal([]byte(out.PriceList[0]), &product); err != nil {
		a.Fatalf("%v in %s", err, out.PriceList[0])
	}
	for _, term := range product.Terms.OnDemand {
		for _, dimension := range term.PriceDimensions {
			if usd, err := strconv.ParseFloat(dimension.PricePerUnit["USD"], 64); err == nil && product.Product.Attributes.InstanceType == instanceType {
				return usd
			}
		}
	}
	a.Fatalf("no price in %s", out.PriceList[0])
	return 0
}

// TestPriceListPages reads every price.
func TestPriceListPages(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	products, pages := map[string]bool{}, 0
	for p := pricing.NewGetProductsPaginator(a.pricing, &pricing.GetProductsInput{
		ServiceCode: aws.String("AmazonEC2"), MaxResults: aws.Int32(100),
	}); p.HasMorePages(); pages++ {
		for _, product := range must(p.NextPage(ctx))(a).PriceList {
			products[product] = true
		}
	}
	if len(products) < 100 || pages != (len(products)+99)/100 {
		t.Errorf("%d products on %d pages", len(products), pages)
	}
}

// TestParameters asks for images, one of which is not there.
func TestParameters(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	const image = "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
	out := must(a.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{image, "/no/such"}}))(a)
	if len(out.Parameters) != 1 || *out.Parameters[0].Name != image || !slices.Equal(out.InvalidParameters, []string{"/no/such"}) {
		t.Fatalf("parameters %+v, invalid %v", out.Parameters, out.InvalidParameters)
	}
	images := must(a.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*out.Parameters[0].Value}}))(a)
	if len(images.Images) != 1 || images.Images[0].Architecture != ec2types.ArchitectureValuesArm64 {
		t.Errorf("image %+v, want an arm64 one", images.Images)
	}
	if _, err := a.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/no/such")}); code(err) != "ParameterNotFound" {
		t.Errorf("a parameter that is not there: %v", err)
	}
}

// TestLaunchTemplates reads back what a launch template was made of.
func TestLaunchTemplates(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template := a.cluster(ctx, "web")
	must(a.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &template, SourceVersion: aws.String("1"), VersionDescription: aws.String("second"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			InstanceType: "m7i.xlarge", SecurityGroupIds: []string{"sg-0123456789abcdef0", "sg-0123456789abcdef1"},
			IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("ecsInstanceRole")},
		},
	}))(a)
	out := must(a.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &template, Versions: []string{"$Latest"}}))(a)
	if len(out.LaunchTemplateVersions) != 1 || *out.LaunchTemplateVersions[0].VersionNumber != 2 {
		t.Fatalf("versions %+v", out.LaunchTemplateVersions)
	}
	data := out.LaunchTemplateVersions[0].LaunchTemplateData
	if data.InstanceType != "m7i.xlarge" || len(data.SecurityGroupIds) != 2 || aws.ToString(data.UserData) == "" || *data.IamInstanceProfile.Name != "ecsInstanceRole" {
		t.Errorf("version 2 holds %+v", data)
	}
	all := must(a.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"join-web"}}))(a)
	if len(all.LaunchTemplates) != 1 || *all.LaunchTemplates[0].LatestVersionNumber != 2 {
		t.Errorf("templates %+v", all.LaunchTemplates)
	}
	zones := must(a.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{}))(a)
	if len(zones.AvailabilityZones) != 3 || *zones.AvailabilityZones[0].ZoneName != "us-east-1a" || zones.AvailabilityZones[0].State != ec2types.AvailabilityZoneStateAvailable {
		t.Errorf("zones %+v", zones.AvailabilityZones)
	}
}
