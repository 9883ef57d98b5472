package sim

import (
	"slices"
	"testing"
	"time"
)

// spotFleet makes a fleet request for spot instances.
func spotFleet(strategy string, count int, overrides ...string) func(*CreateFleetInput) {
	return func(in *CreateFleetInput) {
		in.TargetCapacitySpecification = TargetCapacitySpecification{TotalTargetCapacity: count, DefaultTargetCapacityType: "spot"}
		in.SpotOptions.AllocationStrategy = strategy
		in.LaunchTemplateConfigs[0].Overrides = over(overrides...)
	}
}

// TestChecklist07AllocationStrategies: what each allocation strategy of CreateFleet buys.
func TestChecklist07AllocationStrategies(t *testing.T) {
	three := []string{"m7i.large a", "c7i.large b", "r7i.large c"}
	dear := "price m7i.large us-east-1a 0.05\nprice c7i.large us-east-1b 0.03\nprice r7i.large us-east-1c 0.04\n"
	for _, c := range []struct {
		name, before string
		change       func(*CreateFleetInput)
		also         func(*CreateFleetInput)
		want, errors []string
	}{
		{"lowest price", dear, spotFleet(lowestPrice, 3, three...), nil, []string{"3 c7i.large us-east-1b spot"}, nil},
		{"lowest price of two pools", dear, spotFleet(lowestPrice, 4, three...), func(in *CreateFleetInput) { in.SpotOptions.InstancePoolsToUseCount = 2 }, []string{"2 c7i.large us-east-1b spot", "2 r7i.large us-east-1c spot"}, nil},
		{"diversified", dear, spotFleet(diversified, 7, three...), nil, []string{"3 m7i.large us-east-1a spot", "2 c7i.large us-east-1b spot", "2 r7i.large us-east-1c spot"}, nil},
		{
			"diversified around a shortage", dear + "shortage c7i.* * spot left 1", spotFleet(diversified, 6, three...), nil,
			[]string{"2 m7i.large us-east-1a spot", "1 c7i.large us-east-1b spot", "3 r7i.large us-east-1c spot"},
			[]string{"InsufficientInstanceCapacity c7i.large"},
		},
		{
			"capacity first", dear + "shortage m7i.* * spot left 5\nshortage c7i.* * spot left 9\nshortage r7i.* * spot left 7", spotFleet(capacityOptimized, 2, three...), nil,
			[]string{"2 c7i.large us-east-1b spot"},
			nil,
		},
		{
			"capacity first, then priority", dear + "shortage m7i.* * spot left 5\nshortage c7i.* * spot left 100\nshortage r7i.* * spot left 99", spotFleet(capacityOptimizedByOrder, 2, three...), nil,
			[]string{"2 r7i.large us-east-1c spot"},
			nil,
		},
		{
			"price among what holds all", dear + "shortage c7i.* * spot left 2", spotFleet(priceCapacityOptimized, 3, three...), nil,
			[]string{"3 r7i.large us-east-1c spot"},
			nil,
		},
		{"max price", dear, spotFleet(lowestPrice, 1, three...), func(in *CreateFleetInput) { in.LaunchTemplateConfigs[0].Overrides[1].MaxPrice = "0.02" }, []string{"1 r7i.large us-east-1c spot"}, []string{"SpotMaxPriceTooLow c7i.large"}},
		{"max total price", dear, spotFleet(lowestPrice, 9, "c7i.large b"), func(in *CreateFleetInput) { in.SpotOptions.MaxTotalPrice = "0.1" }, []string{"3 c7i.large us-east-1b spot"}, []string{"InvalidFleetConfiguration c7i.large"}},
		{
			"one zone that has enough", dear + "shortage c7i.* * spot left 1", spotFleet(lowestPrice, 2, three...), func(in *CreateFleetInput) { in.SpotOptions.SingleAvailabilityZone = true },
			[]string{"2 r7i.large us-east-1c spot"},
			[]string{"InsufficientInstanceCapacity c7i.large"},
		},
		{
			"one type, or nothing", dear + "shortage *.* * spot left 1", spotFleet(lowestPrice, 2, three...), func(in *CreateFleetInput) {
				in.SpotOptions.SingleInstanceType, in.SpotOptions.MinTargetCapacity = true, 2
			},
			nil,
			[]string{"InsufficientInstanceCapacity c7i.large", "InsufficientInstanceCapacity r7i.large", "InsufficientInstanceCapacity m7i.large"},
		},
		{"both lifecycles share a subnet", "", spotFleet(lowestPrice, 4, "m7i.large a"), func(in *CreateFleetInput) { in.TargetCapacitySpecification.OnDemandTargetCapacity = 1 }, []string{"1 m7i.large us-east-1a on-demand", "3 m7i.large us-east-1a spot"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, in := fleetWorld(t, Config{})
			if err := must(ParseScript(c.before))(t).Run(w); err != nil {
				t.Fatal(err)
			}
			c.change(in)
			if c.also != nil {
				c.also(in)
			}
			out := must(w.CreateFleet(in))(t)
			var errs []string
			for _, e := range out.Errors {
				errs = append(errs, e.ErrorCode+" "+e.LaunchTemplateAndOverrides.Overrides.InstanceType)
			}
			if got := bought(out); !slices.Equal(got, c.want) || !slices.Equal(errs, c.errors) {
				t.Errorf("bought %q with errors %q, want %q with %q", got, errs, c.want, c.errors)
			}
		})
	}
}

// TestFleetRefusesOptions: options that EC2 refuses as a whole.
func TestFleetRefusesOptions(t *testing.T) {
	for _, c := range []struct {
		name, code string
		change     func(*CreateFleetInput)
	}{
		{"request", "InvalidParameterValue", func(in *CreateFleetInput) { in.Type = "request" }},
		{"no type is maintain", "InvalidParameterValue", func(in *CreateFleetInput) { in.Type = "" }},
		{"strategy of the other lifecycle", "InvalidParameterValue", func(in *CreateFleetInput) { in.OnDemandOptions.AllocationStrategy = diversified }},
		{"minimum without single", "InvalidParameterCombination", func(in *CreateFleetInput) { in.SpotOptions.MinTargetCapacity = 1 }},
		{"units of attributes", "InvalidParameterCombination", func(in *CreateFleetInput) { in.TargetCapacitySpecification.TargetCapacityUnitType = "vcpu" }},
		{"51 configurations", "InvalidParameterValue", func(in *CreateFleetInput) {
			in.LaunchTemplateConfigs = slices.Repeat(in.LaunchTemplateConfigs, 51)
		}},
		{"a tag of AWS", "InvalidParameterValue", func(in *CreateFleetInput) { in.TagSpecifications[0].Tags = []Tag{{"aws:x", "y"}} }},
		{"tags on what it does not make", "InvalidParameterValue", func(in *CreateFleetInput) { in.TagSpecifications[0].ResourceType = "snapshot" }},
	} {
		w, in := fleetWorld(t, Config{})
		in.LaunchTemplateConfigs[0].Overrides = over("m7i.large a")
		c.change(in)
		_, err := w.CreateFleet(in)
		failsWith(t, c.name, err, c.code)
	}
}

// TestDeleteFleets: an instant fleet goes with its instances, and not without them.
func TestDeleteFleets(t *testing.T) {
	w, in := fleetWorld(t, Config{})
	in.LaunchTemplateConfigs[0].Overrides = over("m7i.large a")
	id := must(w.CreateFleet(in))(t).FleetID
	if out := must(w.DescribeFleets(&DescribeFleetsInput{}))(t); len(out.Fleets) != 0 {
		t.Error("an instant fleet is described without being named")
	}
	one := must(w.DescribeFleets(&DescribeFleetsInput{FleetIDs: []string{id}}))(t).Fleets[0]
	if one.FleetState != "active" || one.FulfilledCapacity != 2 || len(one.Instances) != 1 {
		t.Errorf("fleet %+v", one)
	}
	out := must(w.DeleteFleets(&DeleteFleetsInput{FleetIDs: []string{id, "fleet-1", "fleet-00000000-0000-0000-0000-000000000000"}}))(t)
	if len(out.Successful) != 0 || len(out.Unsuccessful) != 3 || out.Unsuccessful[1].Error.Code != "fleetIdMalformed" || out.Unsuccessful[2].Error.Code != "fleetIdDoesNotExist" {
		t.Errorf("without its instances: %+v", out)
	}
	out = must(w.DeleteFleets(&DeleteFleetsInput{FleetIDs: []string{id}, TerminateInstances: true}))(t)
	if len(out.Successful) != 1 || out.Successful[0].CurrentFleetState != "deleted_terminating" {
		t.Errorf("deleted %+v", out)
	}
	w.Advance(w.Now().Add(5 * time.Minute))
	if one = must(w.DescribeFleets(&DescribeFleetsInput{FleetIDs: []string{id}}))(t).Fleets[0]; one.FleetState != "deleted" {
		t.Errorf("fleet is %s", one.FleetState)
	}
}

// TestFinitePools: an offering whose pool has run dry has no more until instances end.
func TestFinitePools(t *testing.T) {
	w := must(New(Config{FinitePools: true}))(t)
	typ := w.typeNamed["g5.xlarge"]
	n := w.pool(typ, "us-east-1a", true)
	in := &RunInstancesInput{ImageID: al2023, InstanceType: "g5.xlarge", MinCount: 1, MaxCount: n + 5, SubnetID: w.subnets[0].ID}
	in.InstanceMarketOptions.MarketType = "spot"
	if out := must(w.RunInstances(in))(t); len(out.Instances) != n {
		t.Errorf("%d instances of a pool of %d", len(out.Instances), n)
	}
	_, err := w.RunInstances(in)
	failsWith(t, "an empty pool", err, "InsufficientInstanceCapacity")
	must(w.TerminateInstances(&TerminateInstancesInput{InstanceIDs: ids(w)[:3]}))(t)
	w.Advance(w.Now().Add(5 * time.Minute))
	if out := must(w.RunInstances(in))(t); len(out.Instances) != 3 {
		t.Errorf("%d instances after 3 ended", len(out.Instances))
	}
}
