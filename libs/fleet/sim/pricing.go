package sim

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// GetProducts tells on-demand prices of EC2 as the Pricing API does, for Linux on shared
// hosts (and for bare metal, dedicated).
func (w *World) GetProducts(in *GetProductsInput) (*GetProductsOutput, error) {
	if in.ServiceCode != "AmazonEC2" {
		return nil, clientError("InvalidParameterException", "Invalid service code %q: the simulated price list has AmazonEC2 only", clip(in.ServiceCode))
	}
	const most = 100
	after, ok := placeIn("products", in.NextToken)
	if !ok {
		return nil, clientError("InvalidNextTokenException", "The pagination token is invalid.")
	}
	if in.MaxResults < 0 || in.MaxResults > most {
		return nil, clientError("InvalidParameterException", "MaxResults must be between 1 and %d: %d", most, in.MaxResults)
	}
	limit := in.MaxResults
	if limit == 0 {
		limit = most
	}
	var matching []*instanceType
	for _, t := range w.types {
		if w.product(t).matches(in.Filters) {
			matching = append(matching, t)
		}
	}
	page, next := pageOf(matching, after, limit)
	out := &GetProductsOutput{FormatVersion: "aws_v1", PriceList: []string{}, NextToken: token("products", next)}
	for _, t := range page {
		text, err := json.Marshal(w.product(t).describe(t))
		if err != nil {
			return nil, &Error{Code: "InternalErrorException", Message: err.Error(), Fault: FaultServer}
		}
		out.PriceList = append(out.PriceList, string(text))
	}
	return out, nil
}

// product is the attributes of a price, by which it is found.
type product struct {
	family     string
	attributes map[string]string
	w          *World
}

func (w *World) product(t *instanceType) product {
	p := product{w: w, family: "Compute Instance", attributes: map[string]string{
		"instanceType": t.name, "servicecode": "AmazonEC2", "regionCode": w.cfg.Region, "locationType": "AWS Region",
		"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
		"marketoption": "OnDemand", "licenseModel": "No License required", "operation": "RunInstances",
		"vcpu": strconv.FormatInt(t.vcpus, 10), "memory": fmt.Sprintf("%g GiB", float64(t.memory)/1024),
		"currentGeneration": "Yes", "usagetype": "BoxUsage:" + t.name,
	}}
	if t.metal {
		p.family, p.attributes["tenancy"] = "Compute Instance (bare metal)", "Dedicated"
	}
	return p
}

func (p product) matches(filters []ProductFilter) bool {
	for _, f := range filters {
		value := p.attributes[f.Field]
		switch f.Field {
		case "productFamily":
			value = p.family
		case "serviceCode", "ServiceCode":
			value = "AmazonEC2"
		}
		if value != f.Value {
			return false
		}
	}
	return true
}

// describe is one item of a price list.
func (p product) describe(t *instanceType) map[string]any {
	sku := fmt.Sprintf("%016X", p.w.hash("sku", t.name))
	const offer, rate = "JRTCKXETXF", "6YS6EN2CT7" // the codes of on-demand offers and hourly rates
	dimension := map[string]any{
		"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "rateCode": sku + "." + offer + "." + rate, "appliesTo": []string{},
		"description":  fmt.Sprintf("$%s per On Demand Linux %s Instance Hour", dollars(t.onDemand), t.name),
		"pricePerUnit": map[string]string{"USD": dollars(t.onDemand) + "0000"},
	}
	return map[string]any{
		"product":         map[string]any{"productFamily": p.family, "attributes": p.attributes, "sku": sku},
		"serviceCode":     "AmazonEC2",
		"version":         "20260701000000",
		"publicationDate": "2026-07-01T00:00:00Z",
		"terms": map[string]any{"OnDemand": map[string]any{sku + "." + offer: map[string]any{
			"sku": sku, "offerTermCode": offer, "effectiveDate": "2026-07-01T00:00:00Z", "termAttributes": map[string]string{},
			"priceDimensions": map[string]any{sku + "." + offer + "." + rate: dimension},
		}}},
	}
}
