package awssim

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// form posts a form as an old client would and returns the status and the body.
func (a *account) form(service, text string) (int, string) {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), http.MethodPost, a.url, strings.NewReader(text))
	if err != nil {
		a.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.send(service, r)
}

// send signs a request, so far as the server looks at it, and sends it.
func (a *account) send(service string, r *http.Request) (int, string) {
	a.Helper()
	r.Header.Set("X-Amz-Date", "20260105T090000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260105/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestStrictParameters: parameters that an operation does not have, and calls without one
// that it needs, are refused in EC2's words; what is documented is taken.
func TestStrictParameters(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	const run = "Action=RunInstances&Version=2016-11-15&ImageId=resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id&InstanceType=m7i.large"
	for _, c := range []struct {
		form string
		want string // in the body; empty is an answer
	}{
		{"Action=DescribeInstances&Version=2016-11-15", ""},
		{"Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag-key&Filter.1.Value.1=a&IncludeManagedResources=true", ""},
		{"Action=DescribeInstances&Version=2016-11-15&InstanceIds.1=i-1", "<Code>UnknownParameter</Code><Message>The parameter InstanceIds.1 is not recognized</Message>"},
		{"Action=DescribeInstances&Version=2016-11-15&Filter.1.Values.1=a", "The parameter Filter.1.Values.1 is not recognized"},
		{"Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=colour&Filter.1.Value.1=a", "<Code>InvalidParameterValue</Code><Message>The filter &#39;colour&#39; is invalid</Message>"},
		{"Action=DescribeInstances&Version=2016-11-15&InstanceId.1=web&InstanceId.2=i-1", "<Code>InvalidInstanceID.Malformed</Code>"},
		{"Action=DescribeInstances&Version=2016-11-15&MaxResults=many", "<Code>InvalidParameterValue</Code>"},
		{run, "<Code>MissingParameter</Code><Message>The request must contain the parameter MaxCount</Message>"},
		{run + "&MinCount=1&MaxCount=1&MetadataOptions.HttpTokens=required&BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=50&Monitoring.Enabled=true&CreditSpecification.CpuCredits=standard&EnclaveOptions.Enabled=false", ""},
		{"Action=TerminateInstances&Version=2016-11-15", "The request must contain the parameter InstanceId"},
		{"Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1", "The request must contain the parameter Tag"},
		{"Action=CreateFleet&Version=2016-11-15&Type=instant&TargetCapacitySpecification.TotalTargetCapacity=1", "The request must contain the parameter LaunchTemplateConfigs"},
		{"Action=DescribeCoffee&Version=2016-11-15", "<Code>InvalidAction</Code>"},
	} {
		status, body := a.form("ec2", c.form)
		body = strings.ReplaceAll(body, "&#34;", `"`)
		if c.want == "" && status != http.StatusOK || c.want != "" && (status != http.StatusBadRequest || !strings.Contains(body, c.want)) {
			t.Errorf("%s: %d %s, want %q", c.form, status, body, c.want)
		}
	}
}

// TestEveryOperationIsListed: each operation of EC2 has its parameters in the table.
func TestEveryOperationIsListed(t *testing.T) {
	for name := range ec2Operations {
		if ec2Parameters()[name] == nil {
			t.Errorf("the parameters of %s are not in ec2params.txt", name)
		}
	}
}

// TestPower stops, starts and changes instances, and asks how they are.
func TestPower(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template, subnet := a.cluster(ctx, "web"), a.subnet(ctx, "a")
	request := fleet(template, subnet, 2, "m7i.large")
	made := must(a.ec2.CreateFleet(ctx, request))(a)
	ids := made.Instances[0].InstanceIds
	a.advance(3 * time.Minute)
	stopped := must(a.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids[:1]}))(a).StoppingInstances
	if len(stopped) != 1 || stopped[0].CurrentState.Name != ec2types.InstanceStateNameStopping || stopped[0].PreviousState.Name != ec2types.InstanceStateNameRunning {
		t.Errorf("stopping %+v", stopped)
	}
	a.advance(time.Minute)
	a.script("maintenance system-reboot in 1h " + ids[1])
	status := must(a.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(true)}))(a).InstanceStatuses
	states := map[ec2types.InstanceStateName]int{}
	events := 0
	for _, s := range status {
		states[s.InstanceState.Name]++
		for _, e := range s.Events {
			if e.Code == ec2types.EventCodeSystemReboot && e.NotBefore.Sub(a.server.Now()) > 55*time.Minute {
				events++
			}
		}
	}
	if states[ec2types.InstanceStateNameStopped] != 1 || states[ec2types.InstanceStateNameRunning] != 1 || events != 1 {
		t.Errorf("states %v, %d planned reboots", states, events)
	}
	must(a.ec2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids[:1]}))(a)
	must(a.ec2.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: ids[1:]}))(a)
	must(a.ec2.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &ids[0], DisableApiTermination: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}}))(a)
	options := must(a.ec2.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &ids[0], HttpTokens: ec2types.HttpTokensStateOptional}))(a).InstanceMetadataOptions
	if options.HttpTokens != ec2types.HttpTokensStateOptional || *options.HttpPutResponseHopLimit != 2 {
		t.Errorf("metadata options %+v", options)
	}
	if _, err := a.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); code(err) != "OperationNotPermitted" {
		t.Errorf("ending a protected instance: %s", code(err))
	}
	one := a.instances(&ec2.DescribeInstancesInput{InstanceIds: ids[:1]})[ids[0]]
	if len(one.BlockDeviceMappings) != 1 || len(one.NetworkInterfaces) != 1 || *one.SecurityGroups[0].GroupId == "" || one.MetadataOptions.HttpTokens != ec2types.HttpTokensStateOptional {
		t.Errorf("instance %+v", one)
	}
	fleets := must(a.ec2.DescribeFleets(ctx, &ec2.DescribeFleetsInput{FleetIds: []string{*made.FleetId}}))(a).Fleets
	if len(fleets) != 1 || *fleets[0].FulfilledCapacity != 2 || fleets[0].Instances[0].InstanceIds[1] != ids[1] {
		t.Errorf("fleets %+v", fleets)
	}
	tags := must(a.ec2.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []ec2types.Filter{{Name: aws.String("resource-type"), Values: []string{"instance"}}}}))(a).Tags
	if len(tags) == 0 || tags[0].ResourceType != ec2types.ResourceTypeInstance {
		t.Errorf("tags %+v", tags)
	}
	deleted := must(a.ec2.DeleteFleets(ctx, &ec2.DeleteFleetsInput{FleetIds: []string{*made.FleetId}, TerminateInstances: aws.Bool(true)}))(a)
	if len(deleted.SuccessfulFleetDeletions) != 1 || deleted.SuccessfulFleetDeletions[0].CurrentFleetState != ec2types.FleetStateCodeDeletedTerminatingInstances {
		t.Errorf("deleted %+v", deleted)
	}
}

// TestOffers reads placement scores, reservations, volumes, groups and template changes
// with the SDK.
func TestOffers(t *testing.T) {
	a, ctx := open(t, sim.Config{}, Options{}), t.Context()
	template := a.cluster(ctx, "web")
	a.script("launch m7i.large\nreserve m7i.large count 3")
	scores := must(a.ec2.GetSpotPlacementScores(ctx, &ec2.GetSpotPlacementScoresInput{TargetCapacity: aws.Int32(5), InstanceTypes: []string{"m7i.large", "c7i.large", "r7i.large"}, SingleAvailabilityZone: aws.Bool(true)}))(a).SpotPlacementScores
	if len(scores) != 3 || *scores[0].AvailabilityZoneId != "use1-az1" || *scores[0].Score < 1 {
		t.Errorf("scores %+v", scores)
	}
	reserved := must(a.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{}))(a).ReservedInstances
	if len(reserved) != 1 || *reserved[0].InstanceCount != 3 || reserved[0].State != ec2types.ReservedInstanceStateActive || *reserved[0].RecurringCharges[0].Amount <= 0 {
		t.Errorf("reserved %+v", reserved)
	}
	volumes := must(a.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{}))(a).Volumes
	if len(volumes) != 1 || *volumes[0].Size != 30 || volumes[0].State != ec2types.VolumeStateInUse {
		t.Errorf("volumes %+v", volumes)
	}
	groups := must(a.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{}))(a).SecurityGroups
	if len(groups) != 1 || *groups[0].GroupName != "default" {
		t.Errorf("groups %+v", groups)
	}
	must(a.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &template, SourceVersion: aws.String("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "m7i.large"}}))(a)
	must(a.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &template, DefaultVersion: aws.String("2")}))(a)
	gone := must(a.ec2.DeleteLaunchTemplateVersions(ctx, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &template, Versions: []string{"1", "2"}}))(a)
	if len(gone.SuccessfullyDeletedLaunchTemplateVersions) != 1 || len(gone.UnsuccessfullyDeletedLaunchTemplateVersions) != 1 {
		t.Errorf("deleted %+v", gone)
	}
	must(a.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &template}))(a)
}

// TestSavingsPlans speaks REST with JSON, as the API of savings plans does.
func TestSavingsPlans(t *testing.T) {
	a := open(t, sim.Config{}, Options{})
	a.script("savings-plan 2.5 family m7i")
	post := func(path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		return a.send("savingsplans", r)
	}
	status, body := post("/DescribeSavingsPlans", `{"states":["active"]}`)
	if status != http.StatusOK || !strings.Contains(body, `"commitment":"2.50000000"`) || !strings.Contains(body, `"ec2InstanceFamily":"m7i"`) {
		t.Fatalf("plans: %d %s", status, body)
	}
	_, rest, _ := strings.Cut(body, `"savingsPlanId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	status, body = post("/DescribeSavingsPlanRates", `{"savingsPlanId":"`+id+`","filters":[{"name":"instanceType","values":["m7i.large"]}]}`)
	if status != http.StatusOK || !strings.Contains(body, `"rate":"0.066528"`) {
		t.Errorf("rates: %d %s", status, body)
	}
	if status, body = post("/DescribeSavingsPlanRates", `{"savingsPlanId":"x"}`); status != http.StatusBadRequest || !strings.Contains(body, "does not exist") {
		t.Errorf("an unknown plan: %d %s", status, body)
	}
}
