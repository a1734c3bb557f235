// The consent of whoever signed in at oidc-provider: to all that was asked for, without a form.

/** Grants the scopes and the resource of an interaction, and lets the provider go on. */
export async function consent(provider, req, res) {
  const { params, session, grantId } = await provider.interactionDetails(req, res);
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope(params.resource, 'api');
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}
