package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// GetSpotPlacementScores scores the region, or each of its zones, by how many spot
// instances its pools have left for the types: 10 where all of the target fits easily.
func (w *World) GetSpotPlacementScores(in *GetSpotPlacementScoresInput) (*GetSpotPlacementScoresOutput, error) {
	const fewestTypes, mostCapacity, mostTypes = 3, 2_000_000_000, 1000
	after, limit, err := ec2Page("scores", in.NextToken, in.MaxResults, 10, 1000)
	switch {
	case err != nil:
		return nil, err
	case in.TargetCapacity < 1 || in.TargetCapacity > mostCapacity:
		return nil, clientError("InvalidParameterValue", "TargetCapacity must be between 1 and %d: %d", mostCapacity, in.TargetCapacity)
	case len(in.InstanceTypes) > mostTypes:
		return nil, clientError("InvalidParameterValue", "The request names %d instance types; at most %d are allowed", len(in.InstanceTypes), mostTypes)
	case in.TargetCapacityUnitType != "" && in.TargetCapacityUnitType != "units" && in.TargetCapacityUnitType != "vcpu" && in.TargetCapacityUnitType != "memory-mib":
		return nil, clientError("InvalidParameterValue", "Value (%s) for parameter TargetCapacityUnitType is invalid. Valid values: vcpu, memory-mib, units", clip(in.TargetCapacityUnitType))
	}
	var types []*instanceType
	for _, name := range in.InstanceTypes {
		if w.typeNamed[name] == nil {
			return nil, clientError("InvalidParameterValue", "The following supplied instance types do not exist: [%s]", clip(name))
		}
		types = append(types, w.typeNamed[name])
	}
	if len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, w.cfg.Region) {
		return &GetSpotPlacementScoresOutput{}, nil
	}
	var all []SpotPlacementScore
	whole := 0.0
	for _, z := range w.cfg.Zones {
		left := w.spotLeft(types, z.Name, in.TargetCapacityUnitType)
		whole += left
		all = append(all, SpotPlacementScore{Region: w.cfg.Region, AvailabilityZoneID: z.ID, Score: score(left, in, len(types) < fewestTypes)})
	}
	if !in.SingleAvailabilityZone {
		all = []SpotPlacementScore{{Region: w.cfg.Region, Score: score(whole, in, len(types) < fewestTypes)}}
	}
	page, next := pageOf(all, after, limit)
	return &GetSpotPlacementScoresOutput{SpotPlacementScores: page, NextToken: token("scores", next)}, nil
}

// spotLeft is how much spot capacity of some types a zone has left.
func (w *World) spotLeft(types []*instanceType, zone, unit string) float64 {
	sum := 0.0
	for _, t := range types {
		if !slices.Contains(t.zones, zone) || w.zoneIsDown(zone) {
			continue
		}
		o := candidate{kind: t, subnet: &subnet{Subnet: Subnet{Zone: zone}}, spot: true}
		each := 1.0
		switch unit {
		case "vcpu":
			each = float64(t.vcpus)
		case "memory-mib":
			each = float64(t.memory)
		}
		sum += float64(w.depth(&o)) * each * (1 - w.interrupted(&o))
	}
	return sum
}

// score is 9 for capacity four times as large as wanted, 10 for more; with fewer than three
// types EC2 gives low scores whatever there is.
func score(left float64, in *GetSpotPlacementScoresInput, few bool) int {
	const best, bestOfFew, plenty = 10, 3, 4.5
	points := int(left / float64(in.TargetCapacity) / plenty * best)
	if few {
		return min(max(points, 1), bestOfFew)
	}
	return min(max(points, 1), best)
}

// year is how long reservations and savings plans last here.
const year = 365 * 24 * time.Hour

// Reserve makes the account own reserved instances of a type for a year from now, in a
// zone or, if it is empty, in the region.
func (w *World) Reserve(typ fleet.TypeName, zone fleet.Zone, count int) (string, error) {
	t := w.typeNamed[string(typ)]
	switch {
	case t == nil:
		return "", fmt.Errorf("reserve: there is no instance type %q", typ)
	case zone != "" && !slices.Contains(t.zones, string(zone)):
		return "", fmt.Errorf("reserve: zone %q does not sell %s", zone, typ)
	case count < 1:
		return "", fmt.Errorf("reserve %d %s: write a number from 1 on", count, typ)
	}
	const discount = 0.63 // of the on-demand price: a year, nothing upfront, about that
	r := ReservedInstances{
		ReservedInstancesID: w.uuid("reserved"), InstanceType: t.name, AvailabilityZone: string(zone), Scope: "Region",
		InstanceCount: count, State: "active", Start: Timestamp{w.now}, End: Timestamp{w.now.Add(year)}, Duration: int64(year / time.Second),
		RecurringCharges: []RecurringCharge{{float64(t.onDemand) * discount / 1e6, "Hourly"}}, CurrencyCode: "USD",
		InstanceTenancy: "default", OfferingClass: "standard", OfferingType: "No Upfront", ProductDescription: "Linux/UNIX (Amazon VPC)",
	}
	if zone != "" {
		r.Scope = "Availability Zone"
	}
	w.reserved = append(w.reserved, r)
	return r.ReservedInstancesID, nil
}

// DescribeReservedInstances describes the reserved instances of the account.
func (w *World) DescribeReservedInstances(in *DescribeReservedInstancesInput) (*DescribeReservedInstancesOutput, error) {
	if err := checkFilters(in.Filters, (&ReservedInstances{}).filterValues); err != nil {
		return nil, err
	}
	out := &DescribeReservedInstancesOutput{}
	known := map[string]bool{}
	for _, r := range w.reserved {
		known[r.ReservedInstancesID] = true
		if !w.now.Before(r.End.Time) {
			r.State = "retired"
		}
		if len(in.ReservedInstancesIDs) > 0 && !slices.Contains(in.ReservedInstancesIDs, r.ReservedInstancesID) ||
			in.OfferingClass != "" && in.OfferingClass != r.OfferingClass || in.OfferingType != "" && in.OfferingType != r.OfferingType {
			continue
		}
		if ok, _ := matchAll(in.Filters, r.filterValues); ok {
			out.ReservedInstances = append(out.ReservedInstances, r)
		}
	}
	for _, id := range in.ReservedInstancesIDs {
		if !known[id] {
			return nil, clientError("InvalidReservedInstancesId", "The reserved instance ID '%s' does not exist", clip(id))
		}
	}
	return out, nil
}

func (r *ReservedInstances) filterValues(name string) ([]string, bool) {
	switch name {
	case "state":
		return []string{r.State}, true
	case "scope":
		return []string{r.Scope}, true
	case "instance-type":
		return []string{r.InstanceType}, true
	case "availability-zone":
		return []string{r.AvailabilityZone}, true
	case "product-description":
		return []string{r.ProductDescription}, true
	case "reserved-instances-id":
		return []string{r.ReservedInstancesID}, true
	case "duration":
		return []string{formatInt(r.Duration)}, true
	case "start":
		return []string{r.Start.UTC().Format(isoMillis)}, true
	case "end":
		return []string{r.End.UTC().Format(isoMillis)}, true
	}
	return nil, false
}

// savingsPlan is a savings plan of the account.
type savingsPlan struct {
	id         string
	family     string // of an EC2 Instance savings plan; empty is a Compute savings plan
	commitment int64  // millionths of USD per hour
	start, end time.Time
}

// OwnSavingsPlan makes the account own a savings plan for a year from now: so much per hour
// for a family of types or, if it is empty, for all of them.
func (w *World) OwnSavingsPlan(family string, commitment fleet.Price) (string, error) {
	if family != "" && !slices.ContainsFunc(w.types, func(t *instanceType) bool { return familyOf(t) == family }) {
		return "", fmt.Errorf("own savings plan: there is no family %q of instance types: name one such as m7i", family)
	}
	if commitment <= 0 {
		return "", fmt.Errorf("own savings plan of %v per hour: write a price above 0", commitment)
	}
	p := &savingsPlan{id: w.uuid("savings plan"), family: family, commitment: int64(commitment), start: w.now, end: w.now.Add(year)}
	w.plans = append(w.plans, p)
	return p.id, nil
}

func familyOf(t *instanceType) string {
	family, _, _ := strings.Cut(t.name, ".")
	return family
}

// rate is what a type costs under a savings plan: about what AWS asks for a year without
// anything upfront.
func (p *savingsPlan) rate(t *instanceType) int64 {
	const compute, ofFamily = 0.73, 0.66 // of the on-demand price
	if p.family != "" {
		return int64(float64(t.onDemand) * ofFamily)
	}
	return int64(float64(t.onDemand) * compute)
}

func (w *World) savingsPlanState(p *savingsPlan) string {
	if w.now.Before(p.end) {
		return "active"
	}
	return "retired"
}

// plansPage checks the paging of an operation of savings plans.
func plansPage(list, tok string, wanted, most int) (after uint64, limit int, err error) {
	after, ok := placeIn(list, tok)
	if !ok {
		return 0, 0, clientError("ValidationException", "Invalid nextToken")
	}
	if wanted < 0 || wanted > most {
		return 0, 0, clientError("ValidationException", "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must be between 1 and %d", wanted, most)
	}
	return after, cmp.Or(wanted, most), nil
}

// DescribeSavingsPlans describes the savings plans of the account.
func (w *World) DescribeSavingsPlans(in *DescribeSavingsPlansInput) (*DescribeSavingsPlansOutput, error) {
	after, limit, err := plansPage("savings-plans", in.NextToken, in.MaxResults, mostInstances)
	if err != nil {
		return nil, err
	}
	all := []SavingsPlan{}
	for _, p := range w.plans {
		d := w.describeSavingsPlan(p)
		ok, err := matchPlans(in.Filters, func(name string) ([]string, bool) {
			switch name {
			case "region":
				return []string{d.Region}, true
			case "ec2-instance-family":
				return []string{d.EC2InstanceFamily}, true
			case "commitment":
				return []string{d.Commitment}, true
			case "savings-plan-type":
				return []string{d.SavingsPlanType}, true
			case "payment-option":
				return []string{d.PaymentOption}, true
			case "term":
				return []string{formatInt(d.TermDurationInSeconds)}, true
			case "start":
				return []string{d.Start}, true
			case "end":
				return []string{d.End}, true
			case "upfront", "instance-family":
				return nil, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if !ok || len(in.States) > 0 && !slices.Contains(in.States, d.State) ||
			len(in.SavingsPlanIDs) > 0 && !slices.Contains(in.SavingsPlanIDs, d.SavingsPlanID) ||
			len(in.SavingsPlanArns) > 0 && !slices.Contains(in.SavingsPlanArns, d.SavingsPlanArn) {
			continue
		}
		all = append(all, d)
	}
	page, next := pageOf(all, after, limit)
	return &DescribeSavingsPlansOutput{SavingsPlans: page, NextToken: token("savings-plans", next)}, nil
}

func (w *World) describeSavingsPlan(p *savingsPlan) SavingsPlan {
	d := SavingsPlan{
		OfferingID: w.hung(&instance{id: p.id}, "offering", p.family), SavingsPlanID: p.id,
		SavingsPlanArn: "arn:aws:savingsplans::" + w.cfg.Account + ":savingsplan/" + p.id,
		Description:    "1 year No Upfront Compute Savings Plan", SavingsPlanType: "Compute", ProductTypes: []string{"EC2", "Fargate", "Lambda"},
		Start: p.start.Format(isoMillis), End: p.end.Format(isoMillis), State: w.savingsPlanState(p),
		PaymentOption: "No Upfront", Currency: "USD", Commitment: dollars(p.commitment) + "00", UpfrontPaymentAmount: "0.0",
		RecurringPaymentAmount: dollars(p.commitment) + "00", TermDurationInSeconds: int64(year / time.Second), Tags: map[string]string{},
	}
	if p.family != "" {
		d.Description, d.SavingsPlanType, d.ProductTypes = "1 year No Upfront "+p.family+" EC2 Instance Savings Plan in "+w.cfg.Region, "EC2Instance", []string{"EC2"}
		d.Region, d.EC2InstanceFamily = w.cfg.Region, p.family
	}
	return d
}

// matchPlans reports whether a thing passes the filters of an operation of savings plans.
func matchPlans(filters []SavingsPlanFilter, value func(name string) ([]string, bool)) (bool, error) {
	all := true
	for _, f := range filters {
		values, known := value(f.Name)
		if !known {
			return false, clientError("ValidationException", "1 validation error detected: Value %s at 'filters' failed to satisfy constraint: Member must satisfy enum value set", strconv.Quote(clip(f.Name)))
		}
		all = all && slices.ContainsFunc(f.Values, func(v string) bool { return slices.Contains(values, v) })
	}
	return all, nil
}

// DescribeSavingsPlanRates tells what each type costs under a savings plan of the account.
func (w *World) DescribeSavingsPlanRates(in *DescribeSavingsPlanRatesInput) (*DescribeSavingsPlanRatesOutput, error) {
	after, limit, err := plansPage("rates", in.NextToken, in.MaxResults, mostInstances)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(w.plans, func(p *savingsPlan) bool { return p.id == in.SavingsPlanID })
	if at < 0 {
		return nil, clientError("ResourceNotFoundException", "The savings plan %s does not exist", strconv.Quote(clip(in.SavingsPlanID)))
	}
	plan, all := w.plans[at], []SavingsPlanRate{}
	for _, t := range w.types {
		if plan.family != "" && familyOf(t) != plan.family {
			continue
		}
		properties := map[string]string{
			"region": w.cfg.Region, "instanceType": t.name, "instanceFamily": familyOf(t), "productDescription": "Linux/UNIX", "tenancy": "shared",
		}
		rate := SavingsPlanRate{
			Rate: dollars(plan.rate(t)), Currency: "USD", Unit: "Hrs", ProductType: "EC2", ServiceCode: "AmazonEC2",
			UsageType: "BoxUsage:" + t.name, Operation: "RunInstances",
		}
		for _, name := range sortedKeys(properties) {
			rate.Properties = append(rate.Properties, NamedValue{name, properties[name]})
		}
		ok, err := matchPlans(in.Filters, func(name string) ([]string, bool) {
			switch name {
			case "productType":
				return []string{rate.ProductType}, true
			case "serviceCode":
				return []string{rate.ServiceCode}, true
			case "usageType":
				return []string{rate.UsageType}, true
			case "operation":
				return []string{rate.Operation}, true
			}
			value, known := properties[name]
			return []string{value}, known
		})
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, rate)
		}
	}
	page, next := pageOf(all, after, limit)
	return &DescribeSavingsPlanRatesOutput{SavingsPlanID: plan.id, SearchResults: page, NextToken: token("rates", next)}, nil
}
