import type { Api } from "../api/client";
import type { NewToken, Token, TokenBody } from "../api/types";

/** Of the project that the own token is for, or of all; oldest first, the revoked ones too. */
export const tokens = (api: Api) => api.json<Token[]>("GET", "/v1/tokens");

/** The secret is in this answer alone. */
export const createToken = (api: Api, body: TokenBody) => api.json<NewToken>("POST", "/v1/tokens", body);

export const revokeToken = (api: Api, id: string) => api.send("DELETE", `/v1/tokens/${id}`);
